<?php
// The runner of a php kernel: one interpreter runs one snippet after another, all with the same
// global variables. A snippet may begin with `<?php` or not.
//
// The command line evaluates this file, and then snippets: that is all that a program sees of it, on the stack and in the
// names of its warnings.
//
// Started with the control channel as descriptor 3 and the input FIFO as standard input. The
// gateway sends `x <length>`, a line end, and the snippet; `f` in place of `x` for the last snippet,
// after which the interpreter ends; `k` before a snippet that goes on with the input of the one before. The runner sends `<letter> <length>`, a
// line end, and that many bytes: `+` once at the start, and `d` with the exit status after each
// snippet. Output goes through the pipes.

final class SornaRunner
{
    // Evaluated as this file is, which has no directory.
    public const READLINE = "eval(substr(file_get_contents(getenv('SORNA_KERNEL_INPUT') . '/php/prepend.php'), 5));";
    private static $link;
    private static $busy = false;
    private static $last = false;
    private static $is_first = true;
    private static $process;
    private static $interrupt;
    private static $is_interrupted = false;

    public static function start(): void
    {
        self::$process = getmypid();
        // What this interpreter starts adapts its input, too.
        $directories = getenv('SORNA_CHILDREN_PHP_INI_SCAN_DIR');
        if ($directories !== false) {
            putenv("PHP_INI_SCAN_DIR=$directories");
            putenv('SORNA_CHILDREN_PHP_INI_SCAN_DIR');
        }
        self::$link = fopen('php://fd/3', 'r+b');
        stream_set_read_buffer(self::$link, 0);
        if (function_exists('pcntl_async_signals')) {
            // Ctrl-C, as a terminal sends it, ends the snippet.
            pcntl_async_signals(true);
            pcntl_signal(SIGINT, function (): void {
                if (self::$busy) {
                    throw self::$interrupt = new Exception('Interrupted');
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
                if (!feof(self::$link)) {
                    // Nothing has come for as long as PHP waits for sockets, which is a minute.
                    continue;
                }
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
        $keeps = false;
        do {
            $header = '';
            while (($letter = self::get(1)) !== "\n") {
                $header .= $letter;
            }
            $keeps = $keeps || $header[0] === 'k';
            self::$last = $header[0] === 'f';
            $code = self::get((int) substr($header, 2));
        } while ($header[0] === 'k');
        if (is_resource(STDIN) && !$keeps) {
            // Discard input that an earlier snippet left unread.
            while (($unread = stream_get_meta_data(STDIN)['unread_bytes']) > 0) {
                fread(STDIN, $unread);
            }
            // A seek by nothing clears the end-of-file state.
            fseek(STDIN, 0, SEEK_CUR);
        }
        $code = self::as_code($code);
        if (self::$last && self::$is_first) {
            self::become($code);
        }
        self::$is_first = false;
        self::$busy = true;
        return self::with_own_stack($code);
    }

    /** Code as `eval` expects it. What begins with a tag is a file, and what precedes its first tag is text. */
    private static function as_code(string $code): string
    {
        $code = preg_replace('/^#![^\n]*/', '', $code, 1, $is_script);
        if (!preg_match('/^(?:\xEF\xBB\xBF)?\s*<(?!<<)/', $code) && !self::has_tags_alone($code)) {
            return $code;
        }
        // PHP drops the end of a line after an end tag, and that of a first line which names an interpreter.
        return $is_script || $code[0] !== "\n" ? '?>' . $code : "echo \"\\n\" ?>" . $code;
    }

    /** Whether it can only be a file, since it has tags and cannot be parsed without them. */
    private static function has_tags_alone(string $code): bool
    {
        if (!preg_match('/<\?(?:php\b|=)/i', $code) || !function_exists('token_get_all')) {
            return false;
        }
        try {
            token_get_all('<?php ' . $code, TOKEN_PARSE);
            return false;
        } catch (ParseError) {
            return true;
        }
    }

    /**
     * Runs the only snippet of a kernel as `php -r` does, in place of this process: nothing else is on its stack then.
     * Returns if that is impossible.
     */
    private static function become(string $code): void
    {
        // It defines `readline` itself, where it may need it.
        $options = ['-d', 'disable_functions='];
        if (preg_match('/\breadline\b|\binclude|\brequire/i', $code)) {
            // This must be the first statement of a file.
            if (preg_match('/\b(?:namespace|declare)\b/i', $code)) {
                return;
            }
            $options = ['-d', 'disable_functions=readline'];
            $code = self::READLINE . $code;
        }
        if (trim($code) === '' || !function_exists('pcntl_exec')) {
            return;
        }
        // Linux has a limit for one argument: what is longer is a file.
        if (strlen($code) < 128 * 1024 && !str_contains($code, "\0")) {
            @pcntl_exec(PHP_BINARY, [...$options, '-r', $code]);
            return;
        }
        $path = sys_get_temp_dir() . '/Command line code';
        // It removes itself. What comes before code of the program is on its first line.
        $head = "<?php unlink(__FILE__); \$argv = \$_SERVER['argv'] = ['Standard input code']; ";
        if (!preg_match('/\b(?:namespace|declare)\b/i', $code) && @file_put_contents($path, $head . $code) !== false) {
            @pcntl_exec(PHP_BINARY, [...$options, '-d', 'auto_prepend_file=', '-f', $path]);
            @unlink($path);
        }
    }

    /** The code with calls of this class in place of those that show the stack, on which the runner is. */
    private static function with_own_stack(string $code): string
    {
        if (!preg_match('/\bdebug_(?:print_)?backtrace\b/i', $code) || !class_exists('PhpToken')) {
            return $code;
        }
        // What follows these is another function, or none.
        $others = [T_OBJECT_OPERATOR, T_NULLSAFE_OBJECT_OPERATOR, T_DOUBLE_COLON, T_FUNCTION, T_CONST, T_NEW, T_USE];
        $changed = '';
        $before = null;
        foreach (PhpToken::tokenize("<?php $code") as $token) {
            $is_name = $token->is([T_STRING, T_NAME_FULLY_QUALIFIED]) && !($before && $before->is($others));
            if ($is_name && preg_match('/^\\\\?(debug_(?:print_)?backtrace)$/i', $token->text, $name)) {
                $changed .= '\SornaRunner::' . $name[1];
            } else {
                $changed .= $token->text;
            }
            $before = $token->isIgnorable() ? $before : $token;
        }
        return substr($changed, strlen('<?php '));
    }

    public static function debug_backtrace(int $options = DEBUG_BACKTRACE_PROVIDE_OBJECT, int $limit = 0): array
    {
        $trace = debug_backtrace($options);
        // The frame of this function, and that of the runner, which has evaluated the snippet.
        return array_slice($trace, 1, min($limit ?: PHP_INT_MAX, max(0, count($trace) - 2)));
    }

    public static function debug_print_backtrace(int $options = 0, int $limit = 0): void
    {
        ob_start();
        debug_print_backtrace($options);
        $frames = preg_split('/^#\d+(?= )/m', ob_get_clean());
        // The same, after the empty text before the first.
        $shown = array_slice($frames, 2, min($limit ?: PHP_INT_MAX, max(0, count($frames) - 3)));
        foreach ($shown as $number => $frame) {
            echo "#$number$frame";
        }
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
        // As of a program that an interrupt ends.
        self::put('d', (string) (self::$is_interrupted ? 130 : $status));
        self::$is_interrupted = false;
        return false;
    }

    public static function show(Throwable $error): void
    {
        self::$is_interrupted = $error === self::$interrupt;
        $name = '~Command line code\(\d+\) : eval\(\)\'d code~';
        $text = preg_replace($name, 'snippet', (string) $error);
        // The runner's own frame is the last but one.
        $own = '~(\n#\d+) Command line code\(\d+\): eval\(\)\n#\d+(?= \{main\})~';
        fwrite(STDERR, 'PHP Fatal error:  Uncaught ' . preg_replace($own, '$1', $text) . "\n");
    }
}

eval(SornaRunner::READLINE);
SornaRunner::start();
$argv = $_SERVER['argv'] = [];
$argc = $_SERVER['argc'] = 0;
