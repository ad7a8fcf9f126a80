# The runner of an r kernel: one interpreter runs one snippet after another, all in the global
# environment. Visible values are printed, as at R's prompt.
#
# Started with the input FIFO as standard input, and with pipes from and to the control channel as
# descriptors 3 and 4. R reads a copy of this file, descriptor 7, to which the only snippet of a kernel is appended: so it is
# run by R itself, with nothing else on its stack. The gateway sends `x <length>`, a line end, and the snippet; `f` in place of
# `x` for the last snippet, after which the interpreter ends; `X` and `F` if its value is wanted; and `k` before a snippet
# that goes on with the input of the one before. The runner sends
# `<letter> <length>`, a line end, and that many bytes: `+` once at the start, `v` with a value and `m` with a picture, to
# which the gateway replies `a <length>`, `r` and `s` before a prompt, the latter with such a reply, `q` before it waits for input, and `d` with the exit status after each snippet. Output goes through the pipes.

local({
    from <- file("/dev/fd/3", "rb", raw = TRUE)
    to <- file("/dev/fd/4", "wb", raw = TRUE)
    args <- commandArgs(TRUE)
    fifo_path <- args[length(args)]
    # Open from a snippet's first `readline` to the snippet's end; unread input is discarded.
    input <- NULL
    last <- FALSE
    echoes <- FALSE
    shows_plain <- FALSE
    # The devices that plots are drawn on if values are wanted, and where their pictures are.
    devices <- integer()
    pictures <- NULL

    put <- function(letter, content) {
        if (is.character(content)) content <- charToRaw(content)
        writeBin(c(charToRaw(paste0(letter, " ", length(content), "\n")), content), to)
        flush(to)
    }
    get_message <- function() {
        header <- character()
        repeat {
            byte <- readBin(from, "raw", 1L)
            # The gateway is gone.
            if (length(byte) == 0L) quit("no", 1L)
            letter <- rawToChar(byte)
            if (letter == "\n") break
            header <- c(header, letter)
        }
        wanted <- as.integer(paste(header[-(1:2)], collapse = ""))
        bytes <- raw()
        while (length(bytes) < wanted) {
            more <- readBin(from, "raw", wanted - length(bytes))
            if (length(more) == 0L) quit("no", 1L)
            bytes <- c(bytes, more)
        }
        list(letter = header[1L], bytes = bytes)
    }
    take <- function() {
        message <- get_message()
        # The reply to a value, which an interrupt kept from being read.
        # The runner holds no input that the next snippet could go on with.
        while (message$letter %in% c("a", "k")) message <- get_message()
        last <<- message$letter %in% c("f", "F")
        echoes <<- message$letter %in% c("X", "F")
        if (echoes && !shows_plain) {
            # Pages of the manual are not underlined as for a terminal.
            shows_plain <<- TRUE
            plain <- function(...) getExportedValue("tools", "Rd2txt_options")(underline_titles = FALSE)
            if (isNamespaceLoaded("tools")) plain() else setHook(packageEvent("tools", "onLoad"), plain)
        }
        # No text of R can hold it.
        is_nul <- message$bytes == as.raw(0L)
        code <- if (any(is_nul)) "stop('nul character not allowed in code', call. = FALSE)" else rawToChar(message$bytes)
        Encoding(code) <- "UTF-8"
        code
    }
    is_own <- function(call) {
        is.null(call) || identical(call, quote(eval(expression, globalenv()))) ||
            identical(call, quote(withVisible(eval(expression, globalenv()))))
    }
    # Sends what is to be in its place among the output.
    put_in_order <- function(letter, content) {
        flush(stdout())
        # One half of the reply would be taken for the next snippet.
        suspendInterrupts({
            put(letter, content)
            get_message()
        })
    }
    show_value <- function(value) {
        if (isS4(value)) methods::show(value) else print(value)
    }
    # A value: its text, and HTML if it has that.
    put_value <- function(text, html) {
        if (is.null(html)) return(put_in_order("v", text))
        record <- paste0("[\"value\", [\"text/plain\", ", as_json(text), "], [\"text/html\", ", as_json(html), "]]")
        flush(stdout())
        put("r", record)
        put_in_order("s", "{\"id\": 0}")
    }
    as_json <- function(text) {
        text <- enc2utf8(text)
        if (!validUTF8(text)) text <- iconv(text, "UTF-8", "UTF-8", sub = "\ufffd")
        text <- gsub("\\", "\\\\", text, fixed = TRUE)
        text <- gsub("\"", "\\\"", text, fixed = TRUE)
        text <- gsub("\n", "\\n", text, fixed = TRUE)
        if (grepl("[\001-\037]", text)) for (code in 1:31) {
            text <- gsub(rawToChar(as.raw(code)), sprintf("\\u%04x", code), text, fixed = TRUE)
        }
        paste0("\"", text, "\"")
    }
    # A table of HTML for a data frame or a matrix, with the first of its rows and columns. NULL for anything else, and if a method
    # of the program fails or there is too much: the text is there.
    html_of <- function(value) {
        is_frame <- is.data.frame(value)
        if (isS4(value) || !is_frame && (is.object(value) || !is.matrix(value))) return(NULL)
        html <- NULL
        # What a method prints is in the text.
        tryCatch(utils::capture.output(suppressWarnings(suppressMessages({
            # Without the methods of subclasses, such as that for `[`.
            columns <- if (is_frame) unclass(value)
            all <- if (is_frame) c(.row_names_info(value, 2L), length(columns)) else dim(value)
            shown <- pmin(all, c(60L, 20L))
            if (all(all > 0L)) {
                rows <- seq_len(shown[1L])
                escaped <- function(text) {
                    text <- enc2utf8(as.character(text))
                    text <- gsub("&", "&amp;", text, fixed = TRUE)
                    text <- gsub("<", "&lt;", text, fixed = TRUE)
                    text <- gsub(">", "&gt;", text, fixed = TRUE)
                    gsub("\"", "&quot;", text, fixed = TRUE)
                }
                formatted <- function(index) {
                    column <- if (is_frame) columns[[index]] else value[, index]
                    if (length(dim(column)) == 2L) {
                        # A column with columns of its own.
                        parts <- as.matrix(format(column[rows, , drop = FALSE]))
                        return(apply(parts, 1L, function(row) paste(trimws(row), collapse = ", ")))
                    }
                    # A part may have lost its class.
                    trimws(format(if (all[1L] > shown[1L]) column[rows] else column))
                }
                cells <- lapply(seq_len(shown[2L]), formatted)
                stopifnot(lengths(cells) == shown[1L])
                names <- if (is_frame) {
                    # Numbers take no room in it.
                    own <- .row_names_info(value, 0L)
                    is_numbered <- is.integer(own) && length(own) == 2L && is.na(own[1L])
                    list(if (is_numbered) rows else own[rows], base::names(columns)[seq_len(shown[2L])])
                } else {
                    given <- function(side, number) {
                        own <- dimnames(value)[[side]]
                        if (is.null(own)) sprintf(c("[%d,]", "[,%d]")[side], number) else own[number]
                    }
                    list(given(1L, rows), given(2L, seq_len(shown[2L])))
                }
                cells <- lapply(cells, function(column) paste0("<td>", escaped(column), "</td>"))
                head <- paste0("<th>", c("", escaped(names[[2L]])), "</th>", collapse = "")
                body <- do.call(paste0, c(list("<tr><th>", escaped(names[[1L]]), "</th>"), cells, list("</tr>\n")))
                left <- all - shown
                units <- ifelse(left == 1L, c("more row", "more column"), c("more rows", "more columns"))
                more <- paste(prettyNum(left, big.mark = ","), units)[left > 0L]
                note <- if (length(more) > 0L) paste0("<p>... ", paste(more, collapse = " and "), "</p>\n")
                text <- paste0("<table>\n<thead><tr>", head, "</tr></thead>\n<tbody>\n", paste0(body, collapse = ""), "</tbody>\n</table>\n", note)
                if (nchar(text, "bytes") < 4L * 1024L * 1024L) html <- text
            }
        }))), error = function(problem) NULL)
        html
    }
    # How many of the runner's own calls are below an expression of a snippet, which sees none of them.
    below <- 0L
    count_calls <- sys.nframe
    hide_calls <- function() {
        absolute <- function(which) if (which > 0L) which + below else which
        above <- function(frames) {
            frames <- as.list(frames)
            if (length(frames) > below) frames[seq.int(below + 1L, length(frames))]
        }
        # In each, `.Internal` finds the call of the function that has it, which must not be an argument.
        replace_base("sys.nframe", function() {
            number <- .Internal(sys.nframe())
            max(0L, number - below)
        })
        replace_base("sys.parent", function(n = 1L) {
            number <- .Internal(sys.parent(n))
            max(0L, number - below)
        })
        replace_base("sys.call", function(which = 0L) .Internal(sys.call(absolute(which))))
        replace_base("sys.frame", function(which = 0L) .Internal(sys.frame(absolute(which))))
        replace_base("sys.function", function(which = 0L) .Internal(sys.function(absolute(which))))
        replace_base("sys.calls", function() {
            calls <- .Internal(sys.calls())
            as.pairlist(above(calls))
        })
        replace_base("sys.frames", function() {
            frames <- .Internal(sys.frames())
            as.pairlist(above(frames))
        })
        replace_base("sys.parents", function() {
            parents <- .Internal(sys.parents())
            pmax(0L, as.integer(unlist(above(parents))) - below)
        })
    }
    # Warnings of the snippet's own level are of no call. R shows those that wait (`warn = 0`) only where it has run a whole
    # expression itself.
    warned <- list()
    # The calls in which a snippet has failed, in notebooks.
    failed <- NULL
    note_calls <- function() {
        # Without the function that calls this.
        calls <- as.list(sys.calls())
        calls <- calls[seq_len(max(0L, sys.nframe() - 2L))]
        signalled <- vapply(calls, function(call) identical(call[[1L]], quote(.handleSimpleError)), NA)
        if (any(signalled)) calls <- calls[seq_len(which(signalled)[1L] - 1L)]
        failed <<- calls
    }
    show_calls <- function() {
        calls <- failed
        failed <<- NULL
        if (length(calls) < 2L) return()
        numbers <- seq_along(calls)
        if (length(numbers) > 40L) numbers <- c(numbers[1:20], numbers[length(numbers) - 19:0])
        lines <- vapply(numbers, function(number) {
            text <- deparse(calls[[number]], nlines = 2L)
            paste0(number, ". ", text[1L], if (length(text) > 1L) " ...")
        }, "")
        cat("Traceback:\n\n", paste0(lines, "\n"), sep = "", file = stderr())
    }
    run <- function(expression) withCallingHandlers(
        withVisible(eval(expression, globalenv())),
        error = function(problem) if (echoes) note_calls(),
        warning = function(problem) {
            level <- getOption("warn")
            is_plain <- is.numeric(level) && length(level) == 1L && !is.na(level)
            call <- conditionCall(problem)
            if (is_plain && level == 1 && is_own(call)) {
                cat("Warning: ", conditionMessage(problem), "\n", sep = "", file = stderr())
                tryInvokeRestart("muffleWarning")
            } else if (is_plain && level == 0) {
                # As R, which counts no more.
                if (length(warned) < 50L) {
                    warning <- list(if (is_own(call)) NULL else call)
                    names(warning) <- conditionMessage(problem)
                    warned <<- c(warned, warning)
                }
                tryInvokeRestart("muffleWarning")
            }
        }
    )
    # Shows the warnings that wait, as R does.
    show_warnings <- function(before = "") {
        count <- length(warned)
        if (count == 0L) return()
        all <- structure(warned, class = "warnings")
        warned <<- list()
        replace_base("warnings", function(...) structure(all, dots = list(...)))
        text <- if (count <= 10L) {
            # R itself ends those without a call with a space.
            shown <- all
            alone <- vapply(unclass(all), is.null, NA)
            names(shown)[alone] <- paste0(names(shown)[alone], " ")
            utils::capture.output(print(shown))
        } else if (count < 50L) {
            paste("There were", count, "warnings (use warnings() to see them)")
        } else {
            "There were 50 or more warnings (use warnings() to see the first 50)"
        }
        cat(before, paste0(text, "\n"), sep = "", file = stderr())
    }
    evaluate <- function(code) {
        if (is_first) hide_calls()
        is_first <<- FALSE
        on.exit(below <<- 0L)
        expressions <- parse(text = code, keep.source = FALSE)
        for (index in seq_along(expressions)) {
            expression <- expressions[[index]]
            below <<- 0L
            below <<- run(as.call(list(count_calls)))$value
            value <- run(expression)
            # The runner's own calls see all.
            below <<- 0L
            if (value$visible && echoes && index == length(expressions)) {
                text <- enc2utf8(utils::capture.output(show_value(value$value)))
                text <- paste(text, collapse = "\n")
                # No more is shown of a value.
                half <- 512L * 1024L
                left_out <- nchar(text) - 2L * half
                if (left_out > 0L) {
                    note <- paste0("\n... ", left_out, " characters are left out here ...\n")
                    last <- substr(text, half + left_out + 1L, nchar(text))
                    text <- paste0(substr(text, 1L, half), note, last)
                }
                if (nzchar(text)) put_value(text, html_of(value$value))
            } else if (value$visible) {
                show_value(value$value)
            }
            show_warnings()
        }
    }
    # A device that draws pictures, in place of the file that a program without a screen gets.
    open_device <- function(...) {
        if (is.null(pictures)) pictures <<- tempfile("plot")
        file <- paste0(pictures, "-", length(devices), "-%04d.png")
        grDevices::png(file, width = 800, height = 600, res = 96)
        devices <<- c(devices, grDevices::dev.cur())
    }
    with_pictures <- function(code) {
        if (!echoes || !capabilities("png")) return(evaluate(code))
        devices <<- integer()
        before <- options(device = open_device)
        on.exit({
            if (identical(getOption("device"), open_device)) options(before)
            send_pictures()
        })
        evaluate(code)
    }
    send_pictures <- function() {
        for (device in intersect(devices, grDevices::dev.list())) grDevices::dev.off(device)
        devices <<- integer()
        if (is.null(pictures)) return()
        files <- Sys.glob(paste0(pictures, "-*.png"))
        pictures <<- NULL
        for (file in files) {
            put_in_order("m", c(charToRaw("image/png\n"), readBin(file, "raw", file.size(file))))
            unlink(file)
        }
    }
    is_first <- TRUE
    # Has R itself run the only snippet of a kernel, after this file. Whether that is possible.
    hand_over <- function(code) {
        if (!is_first || !last || echoes || !nzchar(trimws(code))) return(FALSE)
        rest <- tryCatch(file("/dev/fd/7", "ab", raw = TRUE), error = function(e) NULL, warning = function(w) NULL)
        if (is.null(rest)) return(FALSE)
        writeBin(c(charToRaw(enc2utf8(code)), charToRaw("\n")), rest)
        close(rest)
        options(warn = 0L)
        TRUE
    }
    show <- function(problem) {
        call <- conditionCall(problem)
        ours <- is_own(call) || identical(call[[1L]], quote(parse))
        where <- if (ours) "Error: " else paste0("Error in ", deparse(call, nlines = 1L)[1L], " : ")
        cat(where, conditionMessage(problem), "\n", sep = "", file = stderr())
    }
    replace_base <- function(name, value) {
        unlockBinding(name, baseenv())
        assign(name, value, envir = baseenv())
        lockBinding(name, baseenv())
    }
    # Reads one line, byte by byte: what follows is for what the program opens itself.
    read_line <- function() {
        if (is.null(input)) input <<- fifo(fifo_path, "rb", blocking = TRUE)
        bytes <- raw()
        # The gateway need not look for it.
        flush(stdout())
        put("q", "")
        repeat {
            byte <- readBin(input, "raw", 1L)
            if (length(byte) == 0L && length(bytes) == 0L) return(character())
            if (length(byte) == 0L || byte == as.raw(10L)) break
            bytes <- c(bytes, byte)
        }
        sub("\r$", "", rawToChar(bytes[bytes != as.raw(0L)]))
    }
    # That a prompt begins, which is no output, for notebooks.
    tell_prompt <- function() {
        if (!echoes) return()
        flush(stdout())
        put("r", '["value", ["application/vnd.sorna.display+json", "{\\"prompt\\": true}"]]')
        # What is printed from now on comes after it.
        put_in_order("s", '{"id": 0}')
    }
    # Without a terminal, R's own `readline` returns an empty string at once.
    replace_base("readline", function(prompt = "") {
        tell_prompt()
        cat(prompt)
        line <- read_line()
        # An interrupt ends the input as well. It is noticed while R sleeps.
        if (length(line) == 0L) Sys.sleep(0)
        if (length(line) == 0L) "" else line
    })
    # For R, `stdin()` is where the program itself comes from.
    is_console <- function(con) inherits(con, "connection") && as.integer(con) == 0L
    read_lines <- readLines
    replace_base("readLines", function(con = stdin(), n = -1L, ok = TRUE, warn = TRUE, encoding = "unknown", skipNul = FALSE) {
        if (!is_console(con)) return(read_lines(con, n, ok, warn, encoding, skipNul))
        lines <- character()
        while (n < 0L || length(lines) < n) {
            line <- read_line()
            if (length(line) == 0L) {
                Sys.sleep(0)
                break
            }
            lines <- c(lines, line)
        }
        if (length(lines) < n && !ok) stop("too few lines read in readLines")
        Encoding(lines) <- encoding
        lines
    })
    # As those of `Rscript -e`.
    arguments <- commandArgs
    replace_base("commandArgs", function(trailingOnly = FALSE) {
        if (trailingOnly) character() else c(arguments()[1L], "--no-echo", "--no-restore")
    })
    options(warn = 0L)
    put("+", "")
    # Between snippets, an interrupt must not end the runner.
    suspendInterrupts(repeat {
        code <- take()
        if (hand_over(code)) break
        # One that came after the end of the last snippet is not for this one. It is noticed while R sleeps.
        tryCatch(allowInterrupts(Sys.sleep(0)), interrupt = function(condition) NULL)
        status <- tryCatch({
            allowInterrupts({
                with_pictures(code)
                Sys.sleep(0)
            })
            "0"
        }, error = function(problem) {
            show(problem)
            show_warnings("In addition: ")
            tryCatch(show_calls(), error = function(problem) NULL)
            "1"
        }, interrupt = function(condition) {
            cat("Interrupted\n", file = stderr())
            show_warnings()
            "1"
        })
        if (!is.null(input)) close(input)
        input <- NULL
        flush(stdout())
        if (last) {
            # As at the end of a file, and as after an error in one.
            fine <- status == "0"
            if (!fine) cat("Execution halted\n", file = stderr())
            allowInterrupts(quit("no", as.integer(status), runLast = fine))
        }
        put("d", status)
    })
    invisible()
# Functions with the names of R's own that the program defines are not for this.
}, new.env(parent = .BaseNamespaceEnv))
