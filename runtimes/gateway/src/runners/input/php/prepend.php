<?php
// `readline` for the standard input of a kernel: PHP's own shows its prompt only on a terminal. The sticky bit says
// that the client has none.
if (!function_exists('readline')) {
    function readline(?string $prompt = null): string|false
    {
        $input = defined('STDIN') ? STDIN : fopen('php://stdin', 'r');
        $own = @fstat($input);
        $asked = @stat((string) getenv('SORNA_KERNEL_STDIN'));
        if ($prompt !== null && $own && $asked && $own['ino'] === $asked['ino'] && $own['dev'] === $asked['dev']
            && !($own['mode'] & 01000)) {
            $output = defined('STDOUT') ? STDOUT : fopen('php://stdout', 'w');
            fwrite($output, $prompt);
        }
        $line = fgets($input);
        return $line === false ? false : rtrim($line, "\r\n");
    }
}
