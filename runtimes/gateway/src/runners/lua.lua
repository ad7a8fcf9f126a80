-- The runner of a lua kernel: one interpreter runs one snippet after another, all with the same
-- globals. Each snippet has its own locals, as at Lua's prompt.
--
-- Started with the input FIFO as standard input, and with pipes from and to the control channel as
-- descriptors 3 and 4. The gateway sends `x <length>`, a line end, and the snippet. The runner sends
-- `<letter> <length>`, a line end, and that many bytes: `+` once at the start, and `d` with the exit
-- status after each snippet. Output goes through the pipes.

local io, os, tostring, xpcall, getmetatable = io, os, tostring, xpcall, getmetatable
local traceback = debug.traceback
local compile = loadstring or load
local from = assert(io.open("/dev/fd/3", "rb"))
local to = assert(io.open("/dev/fd/4", "wb"))
local stdin, stdout, stderr = io.stdin, io.stdout, io.stderr

-- Whole lines are written at once. With unbuffered input, the C library writes a prompt before it reads.
stdout:setvbuf("line")
stdin:setvbuf("no")

local function put(letter, content)
    to:write(letter, " ", #content, "\n", content)
    to:flush()
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
    return (trace:gsub("\n%s*%[C%]: in function 'xpcall'.*$", ""))
end

arg = { [0] = "lua" }
put("+", "")
while true do
    local header = from:read("*l")
    if not header then
        os.exit(1)
    end
    local length = tonumber(header:match("%d+"))
    local code = length > 0 and from:read(length) or ""
    local chunk, problem = compile(code, "=snippet")
    local fine = false
    if chunk then
        fine, problem = xpcall(chunk, explain)
    end
    stdout:flush()
    if not fine then
        stderr:write("lua: ", tostring(problem), "\n")
        stderr:flush()
    end
    put("d", fine and "0" or "1")
end
