<?php
// The runner of a php kernel: one interpreter runs one snippet after another, all with the same
// global variables. A snippet may begin with `<?php` or not.
//
// The command line evaluates this file, and then snippets: that is all that a program sees of it, on the stack and in the
// names of its warnings.
//
// Started with the control channel as descriptor 3 and the input FIFO as standard input. The
// gateway sends `x <length>`, a line end, and the snippet; `f` in place of `x` for the last snippet,
// after which the interpreter ends. The runner sends `<letter> <length>`, a
// line end, and that many bytes: `+` once at the start, and `d` with the exit status after each
// snippet. Output goes through the pipes.

final class SornaRunner
{
    private static $link;
    private static $busy = false;
    private static $last = false;
    private static $process;

    public static function start(): void
    {
        self::$process = getmypid();
        self::$link = fopen('php://fd/3', 'r+b');
        stream_set_read_buffer(self::$link, 0);
        if (function_exists('pcntl_async_signals')) {
            // Ctrl-C, as a terminal sends it, ends the snippet.
            pcntl_async_signals(true);
            pcntl_signal(SIGINT, function (): void {
                if (self::$busy) {
                    throw new Exception('Interrupted');
                }
            });
        }
        self::put('+', '');
    }

    private static function put(string $letter, string $content): void
    {
        fwrite(self::$link, $letter . ' ' . strlen($content) . "\n" . $content);
        fflush(self::$link);
    }

    private static function get(int $length): string
    {
        $bytes = '';
        while (strlen($bytes) < $length) {
            $piece = fread(self::$link, $length - strlen($bytes));
            if ($piece === false || $piece === '') {
                // The gateway is gone.
                exit(1);
            }
            $bytes .= $piece;
        }
        return $bytes;
    }

    /** The next snippet, in the form that `eval` expects. */
    public static function take(): string
    {
        $header = '';
        while (($letter = self::get(1)) !== "\n") {
            $header .= $letter;
        }
        self::$last = $header[0] === 'f';
        $code = self::get((int) substr($header, 2));
        if (is_resource(STDIN)) {
            // Discard input that an earlier snippet left unread.
            while (($unread = stream_get_meta_data(STDIN)['unread_bytes']) > 0) {
                fread(STDIN, $unread);
            }
            // A seek by nothing clears the end-of-file state.
            fseek(STDIN, 0, SEEK_CUR);
        }
        self::$busy = true;
        return preg_match('/^\s*<\?/', $code) ? '?>' . ltrim($code) : $code;
    }

    /** Reports how the snippet ended. Returns whether the interpreter is to end, too. */
    public static function done(int $status): bool
    {
        // A child that the program has forked ends here, too, as at the end of a program.
        if (self::$last || getmypid() !== self::$process) {
            return true;
        }
        self::$busy = false;
        while (ob_get_level() > 0) {
            ob_end_flush();
        }
        self::put('d', (string) $status);
        return false;
    }

    public static function show(Throwable $error): void
    {
        $name = '~Command line code\(\d+\) : eval\(\)\'d code~';
        $text = preg_replace($name, 'snippet', (string) $error);
        // The runner's own frame is the last but one.
        $own = '~(\n#\d+) Command line code\(\d+\): eval\(\)\n#\d+(?= \{main\})~';
        fwrite(STDERR, 'PHP Fatal error:  Uncaught ' . preg_replace($own, '$1', $text) . "\n");
    }
}

// Evaluated as this file is, which has no directory.
eval(substr(file_get_contents(getenv('SORNA_KERNEL_INPUT') . '/php/prepend.php'), 5));
SornaRunner::start();
$argv = $_SERVER['argv'] = [];
$argc = $_SERVER['argc'] = 0;
