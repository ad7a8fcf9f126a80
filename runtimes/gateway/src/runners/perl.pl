# The inside of a perl kernel: one interpreter that runs one snippet after another.
#
# Started with the control channel as descriptor 3 and the input FIFO as standard input, whose path
# is the only argument. The gateway sends `x <length>`, a line end, and the snippet; back goes a
# line `<letter> <length>` and that many bytes: `d` with the exit status, and `+` once at the start.
# Output goes through the pipes.
#
# `my` variables and pragmas end with the text that holds them. So that they stay, every snippet
# carries the loop that evaluates the next one, which thus sees all that was declared before.

{
    package Sorna;

    my $fifo = shift @ARGV;
    my ($busy, $code) = (0, '');
    open(my $link, '+<&=', 3) or die "no control channel: $!\n";

    sub put {
        my ($letter, $content) = @_;
        my $frame = "$letter " . length($content) . "\n$content";
        while (length $frame) {
            my $written = syswrite $link, $frame;
            defined $written or $!{EINTR} or kill 'KILL', $$;
            substr($frame, 0, $written // 0) = '';
        }
    }

    sub get {
        my $wanted = shift;
        my $bytes = '';
        while (length($bytes) < $wanted) {
            my $read = sysread $link, $bytes, $wanted - length $bytes, length $bytes;
            # The gateway is gone.
            $read or $!{EINTR} or kill 'KILL', $$;
        }
        return $bytes;
    }

    # Tells how the snippet ended, if one is running.
    sub finish {
        return unless $busy;
        my $status = 0;
        if ($_[0]) {
            # An error may be an object.
            my $words = ref $_[0] ? eval { "$_[0]" } // ref $_[0] : $_[0];
            print STDERR $words;
            $status = 255;
        }
        $busy = 0;
        STDOUT->flush;
        STDERR->flush;
        put('d', $status);
    }

    # Waits for a snippet and gives what is to be evaluated.
    sub snippet {
        finish('');
        local ($!, $/) = (0, "\n");
        my ($head, $byte) = ('', '');
        $head .= $byte while ($byte = get(1)) ne "\n";
        $code = get($head =~ /(\d+)/);
        # What an earlier snippet left unread is forgotten.
        # Without the `close` it would be kept.
        close STDIN;
        open STDIN, '<', $fifo;
        $busy = 1;
        return "#line 1 \"snippet\"\n$code\n;"
            . '{ local $@; while (1) { eval Sorna::snippet(); Sorna::finish($@) } }';
    }

    use Errno ();
    use IO::Handle ();
    $0 = 'perl';
    STDOUT->autoflush(1);
    put('+', '');
}

while (1) { eval Sorna::snippet(); Sorna::finish($@) }
