# The runner of a perl kernel: one interpreter runs one snippet after another.
#
# Started with the control channel as descriptor 3 and the input FIFO as standard input, whose path
# is the only argument. The gateway sends `x <length>`, a line end, and the snippet; `f` in place of
# `x` for the last snippet, after which the interpreter ends. The runner sends
# `<letter> <length>`, a line end, and that many bytes: `+` once at the start, and `d` with the exit
# status after each snippet. Output goes through the pipes.
#
# `my` variables and pragmas end with the source text they are declared in. To keep them, the loop
# that evaluates the next snippet is appended to each snippet, and so runs in its scope.

{
    package Sorna;

    my $fifo = shift @ARGV;
    my ($busy, $last, $code, $process) = (0, 0, '', $$);
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

    # Reports how the snippet ended, if one is running.
    sub finish {
        # What `die` makes the exit code of a program.
        # `$@` itself, which the next `eval` sets.
        my ($problem) = @_;
        my $failure = $! & 255 || $? >> 8 & 255 || 255;
        return unless $busy;
        # A child that the program has forked ends here, as at the end of a program.
        $last ||= $$ != $process;
        local $!;
        my $status = 0;
        if ($problem) {
            # An error may be an object.
            my $text = ref $problem ? eval { "$problem" } // ref $problem : $problem;
            print STDERR $text;
            $status = $failure;
        }
        exit $status if $last;
        $busy = 0;
        STDOUT->flush;
        STDERR->flush;
        put('d', $status);
    }

    # Waits for a snippet and returns the text to evaluate.
    sub snippet {
        finish('');
        local ($!, $/) = (0, "\n");
        my ($head, $byte) = ('', '');
        $head .= $byte while ($byte = get(1)) ne "\n";
        $last = $head =~ /^f/;
        $code = get($head =~ /(\d+)/);
        # Discard input that an earlier snippet left unread. `open` alone would keep it.
        close STDIN;
        open STDIN, '<', $fifo;
        $busy = 1;
        return "#line 1 \"snippet\"\n$code\n;"
            . '{ local $@; while (1) { eval Sorna::snippet(); Sorna::finish($@) } }';
    }

    require "$ENV{SORNA_KERNEL_INPUT}/perl/SornaInput.pm";
    use Errno ();
    use IO::Handle ();
    # Stacks that Carp shows end where the snippet begins.
    use Carp ();
    if (my $trace = defined &Carp::ret_backtrace && \&Carp::ret_backtrace) {
        no warnings 'redefine';
        *Carp::ret_backtrace = sub {
            my ($level, @error) = @_;
            my $text = $trace->($level + 1, @error);
            $text =~ s/^\teval '#line 1 "snippet".*\z//ms;
            return $text;
        };
    }
    # Ctrl-C on a terminal ends the snippet.
    $SIG{INT} = sub { die "Interrupted\n" if $busy };
    $0 = '-e';
    STDOUT->autoflush(1);
    put('+', '');
    $! = 0;
}

#line 1 "-e"
while (1) { eval Sorna::snippet(); Sorna::finish($@) }
