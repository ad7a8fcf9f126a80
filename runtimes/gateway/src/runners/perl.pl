# The runner of a perl kernel: one interpreter runs one snippet after another.
#
# Started with the control channel as descriptor 3 and the input FIFO as standard input, whose path
# is the only argument. The gateway sends `x <length>`, a line end, and the snippet; `f` in place of
# `x` for the last snippet, after which the interpreter ends; `X` and `F` if its value is wanted; and `k` before a snippet
# that goes on with the input of the one before. The runner sends
# `<letter> <length>`, a line end, and that many bytes: `+` once at the start, `v` with a value, to which the gateway
# replies `a <length>`, and `d` with the exit status after each snippet. Output goes through the pipes.
#
# `my` variables and pragmas end with the source text they are declared in. To keep them, the loop
# that evaluates the next snippet is appended to each snippet, and so runs in its scope.

{
    package Sorna;

    my $fifo = shift @ARGV;
    my ($busy, $last, $echoes, $code, $process, $is_first) = (0, 0, 0, '', $$, 1);
    # How many of the runner's own frames are below a snippet, which sees none of them.
    my $below = 0;
    my @kept;
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

    sub message {
        my ($head, $byte) = ('', '');
        $head .= $byte while ($byte = get(1)) ne "\n";
        return (substr($head, 0, 1), get($head =~ /(\d+)/));
    }

    # A value as text: a string as it is, and anything with parts as the code that makes it.
    sub as_text {
        my $value = shift;
        return 'undef' unless defined $value;
        return "$value" if !ref $value || overload::Method($value, '""');
        require Data::Dumper;
        no warnings 'once';
        local ($Data::Dumper::Terse, $Data::Dumper::Indent, $Data::Dumper::Sortkeys) = (1, 1, 1);
        my $text = Data::Dumper::Dumper($value);
        chomp $text;
        return $text;
    }

    # Shows the values of the last expression, if there are any.
    sub echo {
        return unless @_ && (@_ > 1 || defined $_[0]);
        my $text = join ', ', map { as_text($_) } @_;
        $text = "($text)" if @_ > 1;
        # No more is shown of a value.
        my $half = 512 * 1024;
        if ((my $left_out = length($text) - 2 * $half) > 0) {
            substr($text, $half, $left_out) = "\n... $left_out characters are left out here ...\n";
        }
        utf8::encode($text) if utf8::is_utf8($text);
        local ($!, $@, $/) = (0, '', "\n");
        # A child that the program has forked cannot send it.
        return print "$text\n" if $$ != $process;
        STDOUT->flush;
        STDERR->flush;
        put('v', $text);
        message();
    }

    # Statements that have no value to show, or declare what is to last: those cannot be part of an expression.
    my $silent = qr/^\s*(?:print|printf|say|if|unless|while|until|for|foreach|return|exit|die|warn|package|BEGIN|END)\b
        |\b(?:my|our|local|state|use|no|format|sub\s+[\w:]+)\b|^(?:\s|\#[^\n]*(?:\n|\z))*\z|__(?:END|DATA)__/x;

    # The snippet with a call that shows its last expression; unchanged if that is none. The expression begins at the
    # start, or after a semicolon or a block: there are several places to try, and a child that compiles them, since
    # `use` and `BEGIN` act at once.
    sub with_echo {
        my ($code, $compile) = @_;
        (my $body = $code) =~ s/(?:\s|;)+\z//;
        my @places = (0);
        push @places, $-[0] + 1 while $body =~ /[;\}]/g;
        my @changed;
        for my $place (reverse @places) {
            my ($before, $rest) = (substr($body, 0, $place), substr($body, $place));
            next if $rest =~ $silent;
            push @changed, "$before Sorna::echo(do {$rest\n});";
            last if @changed == 20;
        }
        return $code unless @changed;
        pipe(my $from, my $to) or return $code;
        my $child = fork // return $code;
        unless ($child) {
            local ($SIG{__WARN__}, $SIG{__DIE__}) = (sub { }, 'DEFAULT');
            open STDOUT, '>', '/dev/null';
            open STDERR, '>', '/dev/null';
            for my $number (0 .. $#changed) {
                next unless $compile->("sub { $changed[$number]\n}");
                syswrite $to, $number;
                last;
            }
            kill 'KILL', $$;
        }
        close $to;
        my $number = '';
        sysread $from, $number, 20;
        waitpid $child, 0;
        return length $number ? $changed[$number] : $code;
    }

    # The path of a file with the snippet that is as one on the command line, if there can be one.
    sub file {
        my $path = ($ENV{TMPDIR} // '/tmp') . "/.sorna-$$";
        sysopen my $file, $path, 0302, 0600 or return; # O_RDWR, O_CREAT, O_EXCL
        unlink $path;
        my $number = fileno $file;
        my $content = "BEGIN { \$0 = '-e' }\n#line 1 \"-e\"\n$code\n";
        while (length $content) {
            my $written = syswrite $file, $content;
            defined $written or $!{EINTR} or return;
            substr($content, 0, $written // 0) = '';
        }
        sysseek $file, 0, 0;
        # Perl reads such a descriptor itself, and closes it.
        fcntl $file, 2, 0;
        push @kept, $file;
        return "/dev/fd/$number";
    }

    # Runs the only snippet of a kernel as `perl -e` does, in place of this process: nothing else is on its stack then.
    # Returns if that is impossible.
    sub become {
        return if $code !~ /\S/;
        my @program = ('-e', $code);
        # Linux has a limit for one argument: what is longer is a file, which has no name any more.
        @program = file() or return if $code =~ /\0/ || length $code >= 128 * 1024;
        # The channel stays open, by which the gateway knows that this process runs; what it starts does not get it. (1 is
        # FD_CLOEXEC, 2 is F_SETFD.)
        fcntl $link, 2, 0;
        no warnings;
        $ENV{SORNA_LINK} = fileno $link;
        exec { $^X } 'perl', @program;
        delete $ENV{SORNA_LINK};
        fcntl $link, 2, 1;
    }

    # What `caller` is for snippets.
    sub caller_above(;$) {
        my $level = @_ ? $_[0] : 0;
        my $count = 0;
        $count++ while CORE::caller($count + 1);
        return if $level >= $count - $below;
        my @frame;
        if (CORE::caller eq 'DB') {
            # That of this package sets the arguments, too.
            package DB;
            @frame = CORE::caller($level + 1);
        } else {
            @frame = CORE::caller($level + 1);
        }
        return wantarray ? @_ ? @frame : @frame[0 .. 2] : $frame[0];
    }

    # Waits for a snippet and returns the text to evaluate. `compile` compiles in the scope of the snippets before.
    sub snippet {
        my $compile = shift;
        finish('');
        local ($!, $?, $/) = (0, $?, "\n");
        my $letter;
        # A reply to a value may be left, which an interrupt kept from being read.
        my $keeps = 0;
        do {
            ($letter, $code) = message();
            $keeps ||= $letter eq 'k';
        } while $letter =~ /[ak]/;
        $last = $letter =~ /f/i;
        $echoes = $letter =~ /[XF]/;
        become() if $last && !$echoes && $is_first;
        if ($is_first) {
            $is_first = 0;
            no warnings 'once';
            *CORE::GLOBAL::caller = \&caller_above;
        }
        # The frame of this function has the place of that of the snippet.
        $below = 0;
        $below++ while CORE::caller($below);
        # Discard input that an earlier snippet left unread, unless this one goes on with it. `open` alone would keep it.
        unless ($keeps) {
            close STDIN;
            open STDIN, '<', $fifo;
        }
        $code = with_echo($code, $compile) if $echoes;
        $busy = 1;
        return "#line 1 \"-e\"\n$code\n;"
            . '{ local $@; while (1) { eval Sorna::snippet(sub { eval $_[0] }); Sorna::finish($@) } }';
    }

    require "$ENV{SORNA_KERNEL_INPUT}/perl/SornaInput.pm";
    # What this interpreter starts adapts its input, too.
    for my $name (grep { s/^SORNA_CHILDREN_// } my @names = keys %ENV) {
        $ENV{$name} = delete $ENV{"SORNA_CHILDREN_$name"};
    }
    use Errno ();
    use IO::Handle ();
    # Stacks that Carp shows end where the snippet begins.
    use Carp ();
    if (my $trace = defined &Carp::ret_backtrace && \&Carp::ret_backtrace) {
        no warnings 'redefine';
        *Carp::ret_backtrace = sub {
            my ($level, @error) = @_;
            my $text = $trace->($level + 1, @error);
            $text =~ s/^\teval '#line 1 "-e".*\z//ms;
            return $text;
        };
    }
    use overload ();
    # Ctrl-C on a terminal ends the snippet, with the exit code of a program that it ends.
    $SIG{INT} = sub {
        return unless $busy;
        $! = 130;
        die "Interrupted\n";
    };
    $0 = '-e';
    STDOUT->autoflush(1);
    put('+', '');
    $! = 0;
}

#line 1 "-e"
while (1) { eval Sorna::snippet(sub { eval $_[0] }); Sorna::finish($@) }
