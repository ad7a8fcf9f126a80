-- The runner of a lua kernel: one interpreter runs one snippet after another, all with the same
-- globals. Each snippet has its own locals, as at Lua's prompt.
--
-- Started with the input FIFO as standard input, and with pipes from and to the control channel as
-- descriptors 3 and 4. The gateway sends `x <length>`, a line end, and the snippet; `f` in place of
-- `x` for the last snippet, after which the interpreter ends; `X` and `F` if its value is wanted; and `k` before a snippet
-- that goes on with the input of the one before. The runner sends
-- `<letter> <length>`, a line end, and that many bytes: `+` once at the start, `v` with a value, to which the gateway
-- replies `a <length>`, and `d` with the exit status after each snippet. Output goes through the pipes.
--
-- Ctrl-C, as a terminal sends it, is taken by the interpreter itself, but only once for each chunk of its command line:
-- the next one would end it. So this file only defines a function, which is called by one chunk after another, and
-- returns to the command line after each interrupt.

local io, os, tostring, tonumber, type, xpcall, getmetatable = io, os, tostring, tonumber, type, xpcall, getmetatable
local exit = os.exit
local select, concat = select, table.concat
local traceback, getinfo, gsub = debug.traceback, debug.getinfo, string.gsub
local unpack = table.unpack or unpack
local create, resume, yield, coroutine_status = coroutine.create, coroutine.resume, coroutine.yield, coroutine.status
local error, pcall, floor = error, pcall, math.floor
local compile = loadstring or load
local from = assert(io.open("/dev/fd/3", "rb"))
local to = assert(io.open("/dev/fd/4", "wb"))
local stdin, stdout, stderr = io.stdin, io.stdout, io.stderr

-- Whole lines are written at once.
stdout:setvbuf("line")

local function put(letter, content)
    to:write(letter, " ", #content, "\n", content)
    to:flush()
end

-- What is below a program on the stack.
local BOTTOM = _VERSION == "Lua 5.1" and "\n\t[C]: ?" or "\n\t[C]: in ?"

local function packed(...)
    return { n = select("#", ...), ... }
end

-- The traceback without the runner's own lines and those below them.
local function explain(problem)
    if type(problem) ~= "string" then
        local meta = getmetatable(problem)
        if type(meta) == "table" and meta.__tostring then
            return tostring(problem)
        end
        problem = "(error object is a " .. type(problem) .. " value)"
    end
    local trace = traceback(problem, 2)
    trace = trace:gsub("\n%s*%[C%]: in function 'error'\n[^\n]* in function 'os.execute'", "\n\t[C]: in function 'os.execute'")
    trace = trace:gsub("\n[^\n]*'error'\n[^\n]*'at_level'\n[^\n]*in function 'debug%.", "\n\t[C]: in function 'debug.")
    -- The runner's own function that shows values.
    trace = trace:gsub("\n%s*%[C%]: in [^\n]*'tostring'\n[^\n]*lua%.lua:.*$", "")
    return (trace:gsub("\n%s*%[C%]: in function 'xpcall'.*$", BOTTOM))
end

-- A traceback for the program without the runner's functions, which have the name of the command line.
debug.traceback = function(...)
    local thread, message, level = ...
    local trace
    if type(thread) == "thread" then
        trace = traceback(...)
    else
        message, level = thread, message
        -- One more for this function.
        trace = traceback(message, (tonumber(level) or 1) + 1)
    end
    if type(trace) ~= "string" then
        return trace
    end
    return (trace:gsub("\n%s*%[C%]: in function 'xpcall'\n%s*%(command line%).*$", BOTTOM))
end

-- The levels of the stack that a program sees end with the function that called its chunk, which is one of C.
local run
local running = coroutine.running

-- Returns what a function of `debug` has for a level. The level counts from the caller's caller, and is one that there is not
-- where it is the runner's.
local function at_level(name, original, level, ...)
    local thread, is_main = running()
    local beyond = 0
    if level > 0 and (is_main or not thread) then
        local at = level + 2
        local frame = getinfo(at, "f")
        while frame and frame.func ~= run do
            at = at + 1
            frame = getinfo(at, "f")
        end
        if not frame or at == level + 2 then
            beyond = 2 ^ 30
        end
    end
    -- One more each for this function, for `pcall` and for the caller.
    local found = packed(pcall(original, level > 0 and level + 3 + beyond or level, ...))
    if not found[1] then
        local called = getinfo(2, "n").name or "debug." .. name
        error((gsub(tostring(found[2]), "'%?'", "'" .. called .. "'")), 3)
    end
    return unpack(found, 2, found.n)
end

for _, name in ipairs({ "getinfo", "getlocal", "setlocal" }) do
    local original = debug[name]
    debug[name] = function(level, ...)
        if type(level) ~= "number" then
            return original(level, ...)
        end
        -- No tail call, which would take this function off the stack.
        local found = packed(at_level(name, original, floor(level), ...))
        return unpack(found, 1, found.n)
    end
end

local function is_interrupt(problem)
    return type(problem) == "string" and problem:find("interrupted!", 1, true) ~= nil
end

-- How the last snippet ended, while that has not been reported.
local status
-- Whether it was interrupted.
local stopped
-- Whether the snippet is the last one, and whether its value is wanted.
local last, echoes = false, false

-- How the last snippet ended, until that has been reported, and the message that was received last, until it is taken.
local report, received

-- Reads, also after a signal has kept it from that.
local function read(what)
    while true do
        local text, problem = from:read(what)
        if text then
            return text
        elseif not problem then
            -- The gateway is gone.
            exit(1)
        end
    end
end

local function receive()
    while true do
        if report then
            put("d", report)
            report = nil
        end
        local header = read("*l")
        local length = tonumber(header:match("%d+"))
        local content = ""
        while #content < length do
            content = content .. read(length - #content)
        end
        received = { header:sub(1, 1), content }
        yield()
    end
end

-- An interrupt that comes after the end of a snippet is noticed at any moment, such as when something has been read, which would
-- be lost. It stops the main thread alone: so another one reports and reads.
local reader

local function get()
    if not received then
        if not reader or coroutine_status(reader) == "dead" then
            reader = create(receive)
        end
        resume(reader)
    end
    local letter, code = received[1], received[2]
    received = nil
    return letter, code
end

local has_input = false

local function next_snippet()
    local letter, code = get()
    -- The reply to a value, which an interrupt kept from being read.
    -- The runner holds no input that the next snippet could go on with.
    while letter == "a" or letter == "k" do
        letter, code = get()
    end
    last = letter == "f" or letter == "F"
    echoes = letter == "X" or letter == "F"
    if not has_input then
        has_input = true
        -- With input that is not fully buffered, the C library writes a prompt before it reads. Lines that one snippet has
        -- not read are not for the next one, so there is no buffer if one follows, although each byte is read by itself then.
        stdin:setvbuf(last and "line" or "no")
    end
    return code
end

-- The snippet as a function that returns the values of its last expression, as at lua's prompt. The expression begins at the
-- start or after a line end or a semicolon, where what precedes it is a program of its own.
local function with_values(code)
    local chunk = compile("return " .. code, "=snippet")
    if chunk then
        return chunk
    end
    for at = #code, 1, -1 do
        local byte = code:sub(at, at)
        if byte == "\n" or byte == ";" then
            local before, rest = code:sub(1, at), code:sub(at + 1)
            if rest:find("%S") and compile("return " .. rest) and compile(before) then
                chunk = compile(before .. "return " .. rest, "=snippet")
                if chunk then
                    return chunk
                end
            end
        end
    end
end

-- No more is shown of a value. Characters are not cut in two.
local sub = string.sub
local function cut(text)
    local half = 512 * 1024
    if #text <= 2 * half then
        return text
    end
    local first = gsub(sub(text, 1, half), "[\xC0-\xFF][\x80-\xBF]*$", "")
    local last = gsub(sub(text, -half), "^[\x80-\xBF]+", "")
    local left_out = #text - #first - #last
    return first .. "\n... " .. left_out .. " bytes are left out here ...\n" .. last
end

-- Shows values as lua's prompt does.
local function echo(values)
    if values.n > 1 then
        local texts = {}
        for i = 2, values.n do
            texts[i - 1] = tostring(values[i])
        end
        stdout:flush()
        put("v", cut(concat(texts, "\t")))
        get()
    end
end

local function explain_and_note(problem)
    stopped = stopped or is_interrupt(problem)
    return explain(problem)
end

function run(code)
    local chunk, problem = echoes and with_values(code)
    if not chunk then
        chunk, problem = compile(code, "=snippet")
    end
    local fine = false
    if chunk then
        local values = packed(xpcall(chunk, explain_and_note))
        fine, problem = values[1], values[2]
        if fine and echoes then
            fine, problem = xpcall(function()
                echo(values)
            end, explain_and_note)
        end
    end
    status = fine and "0" or "1"
    stdout:flush()
    if not fine then
        stderr:write("lua: ", tostring(problem), "\n")
        stderr:flush()
    end
end

local function serve()
    while not stopped do
        if status then
            report = status
            status = nil
        end
        run(next_snippet())
        if last then
            exit(tonumber(status), true)
        end
    end
end

-- What a shell closes first: another program needs none of the runner's descriptors.
local CLOSE = "exec 3<&- 4<&- 5<&- 6<&-;"

local function closing(name, command)
    local kind = type(command)
    if kind ~= "string" and kind ~= "number" then
        error(("bad argument #1 to '%s' (string expected, got %s)"):format(name, kind), 3)
    end
    return CLOSE .. command
end

local popen = io.popen
io.popen = function(command, ...)
    return popen(closing("popen", command), ...)
end

-- While another program runs, the C library lets only that be interrupted.
local execute = os.execute
os.execute = function(command)
    if command == nil then
        return execute()
    end
    local fine, how, code = execute(closing("execute", command))
    if (how == "signal" and code == 2) or (how == "exit" and code == 130) then
        error("interrupted!", 2)
    end
    return fine, how, code
end

arg = { [0] = "lua" }
put("+", "")
package.loaded["sorna.runner"] = function()
    stopped = false
    local fine, problem = pcall(serve)
    -- An interrupt may come just after the end of a snippet.
    if not fine and not is_interrupt(problem) then
        error(problem, 0)
    end
end
