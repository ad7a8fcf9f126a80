# The runner of an r kernel: one interpreter runs one snippet after another, all in the global
# environment. Visible values are printed, as at R's prompt.
#
# Started with the input FIFO as standard input, and with pipes from and to the control channel as
# descriptors 3 and 4. The gateway sends `x <length>`, a line end, and the snippet; `f` in place of
# `x` for the last snippet, after which the interpreter ends. The runner sends
# `<letter> <length>`, a line end, and that many bytes: `+` once at the start, and `d` with the exit
# status after each snippet. Output goes through the pipes.

local({
    from <- file("/dev/fd/3", "rb", raw = TRUE)
    to <- file("/dev/fd/4", "wb", raw = TRUE)
    args <- commandArgs(TRUE)
    fifo <- args[length(args)]
    # Open from a snippet's first `readline` to the snippet's end; unread input is discarded.
    input <- NULL
    last <- FALSE

    put <- function(letter, content) {
        writeBin(charToRaw(paste0(letter, " ", nchar(content, "bytes"), "\n", content)), to)
        flush(to)
    }
    take <- function() {
        header <- character()
        repeat {
            byte <- readBin(from, "raw", 1L)
            # The gateway is gone.
            if (length(byte) == 0L) quit("no", 1L)
            letter <- rawToChar(byte)
            if (letter == "\n") break
            header <- c(header, letter)
        }
        last <<- header[1L] == "f"
        wanted <- as.integer(paste(header[-(1:2)], collapse = ""))
        bytes <- raw()
        while (length(bytes) < wanted) {
            more <- readBin(from, "raw", wanted - length(bytes))
            if (length(more) == 0L) quit("no", 1L)
            bytes <- c(bytes, more)
        }
        code <- rawToChar(bytes)
        Encoding(code) <- "UTF-8"
        code
    }
    is_own <- function(call) {
        is.null(call) || identical(call, quote(eval(expression, globalenv()))) ||
            identical(call, quote(withVisible(eval(expression, globalenv()))))
    }
    evaluate <- function(code) {
        for (expression in parse(text = code, keep.source = FALSE)) {
            # Warnings of the snippet's own level are of no call.
            value <- withCallingHandlers(
                withVisible(eval(expression, globalenv())),
                warning = function(problem) {
                    if (identical(getOption("warn"), 1L) && is_own(conditionCall(problem))) {
                        cat("Warning: ", conditionMessage(problem), "\n", sep = "", file = stderr())
                        tryInvokeRestart("muffleWarning")
                    }
                }
            )
            if (value$visible) {
                if (isS4(value$value)) methods::show(value$value) else print(value$value)
            }
        }
    }
    show <- function(problem) {
        call <- conditionCall(problem)
        ours <- is_own(call) || identical(call[[1L]], quote(parse))
        where <- if (ours) "Error: " else paste0("Error in ", deparse(call, nlines = 1L)[1L], " : ")
        cat(where, conditionMessage(problem), "\n", sep = "", file = stderr())
    }
    # Without a terminal, R's own `readline` returns an empty string at once.
    attach(list(readline = function(prompt = "") {
        cat(prompt)
        flush(stdout())
        if (is.null(input)) input <<- file(fifo, "r", raw = TRUE)
        line <- readLines(input, 1L, warn = FALSE)
        # An interrupt ends the input as well. It is noticed while R sleeps.
        if (length(line) == 0L) Sys.sleep(0)
        if (length(line) == 0L) "" else line
    }), name = "sorna", warn.conflicts = FALSE)
    options(warn = 1L)
    put("+", "")
    # Between snippets, an interrupt must not end the runner.
    suspendInterrupts(repeat {
        code <- take()
        status <- tryCatch({
            allowInterrupts({
                evaluate(code)
                Sys.sleep(0)
            })
            "0"
        }, error = function(problem) {
            show(problem)
            "1"
        }, interrupt = function(condition) {
            cat("Interrupted\n", file = stderr())
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
})
