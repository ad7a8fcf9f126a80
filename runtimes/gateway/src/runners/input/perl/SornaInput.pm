package SornaInput;

# Adapts the standard input of a kernel for perl: prompts are seen, without a terminal.

use strict;
use warnings;

my $posix_is_known = 0;

# Whether the client is asked for the standard input.
sub asks {
    my $path = $ENV{SORNA_KERNEL_STDIN} // return 0;
    my ($device, $inode) = stat $path or return 0;
    my ($own_device, $own_inode) = stat STDIN or return 0;
    return $device == $own_device && $inode == $own_inode;
}

# Whether a person is asked: the sticky bit says that the client has no terminal.
sub prompts {
    return !-k STDIN;
}

# Lines are read from the standard input, as there is no terminal that could be opened.
sub adopt_readline {
    my $original = \&Term::ReadLine::Stub::new;
    no warnings qw(redefine once);
    *Term::ReadLine::Stub::new = sub {
        return $original->(@_) if @_ != 2 || !asks();
        return $original->(@_, \*STDIN, \*STDOUT);
    };
    my $read = \&Term::ReadLine::Stub::readline;
    *Term::ReadLine::Stub::readline = sub {
        return $read->(@_) if prompts() || !asks();
        local @Term::ReadLine::TermCap::rl_term_set = ('') x 4;
        return $read->($_[0], '');
    };
}

# A program that finds out how its terminal is set, and sets it otherwise, gets what is usual, if a person is asked. A file
# tells the gateway to hide what is typed.
sub adopt_termios {
    (my $mark = $ENV{SORNA_KERNEL_STDIN}) =~ s{[^/]*\z}{tmp/.sorna-hidden};
    my ($get, $set) = (\&POSIX::Termios::getattr, \&POSIX::Termios::setattr);
    my $echo = POSIX::ECHO();
    my $is_own = sub { !($_[1] // 0) && prompts() && asks() };
    no warnings 'redefine';
    *POSIX::Termios::getattr = sub {
        return $get->(@_) unless $is_own->(@_);
        my $self = shift;
        $self->setiflag(POSIX::ICRNL() | POSIX::IXON());
        $self->setoflag(POSIX::OPOST());
        $self->setcflag(POSIX::CREAD() | POSIX::CS8());
        my $flags = POSIX::ISIG() | POSIX::ICANON() | POSIX::IEXTEN() | POSIX::ECHOE() | POSIX::ECHOK();
        $self->setlflag(-e $mark ? $flags : $flags | $echo);
        return '0 but true';
    };
    *POSIX::Termios::setattr = sub {
        return $set->(@_) unless $is_own->(@_);
        if ($_[0]->getlflag & $echo) {
            unlink $mark;
        } else {
            open my $file, '>', $mark or return;
        }
        return '0 but true';
    };
}

sub hook {
    my ($self, $file) = @_;
    if ($file eq 'POSIX.pm' && !$posix_is_known++) {
        # Perl itself loads it, from where it is.
        local @INC = grep { $_ ne $self } @INC;
        require POSIX;
        adopt_termios();
        return \(my $nothing = '1;');
    }
    return unless $file eq 'Term/ReadLine.pm';
    @INC = grep { $_ ne $self } @INC;
    for my $place (grep { !ref } @INC) {
        open my $source, '<', "$place/$file" or next;
        my @after = ("SornaInput::adopt_readline();\n", "1;\n");
        $INC{$file} = "$place/$file";
        my $ended = 0;
        return sub {
            if (!$ended) {
                $_ = readline $source;
                $ended = !defined $_ || /^__(?:END|DATA)__$/;
                return 1 unless $ended;
            }
            $_ = shift @after;
            return defined $_ ? 1 : 0;
        };
    }
    return;
}

# The only snippet of a kernel keeps the channel, but not what it starts. (1 is FD_CLOEXEC, 2 is F_SETFD.)
if (defined(my $number = delete $ENV{SORNA_LINK})) {
    open our $link, '+<&=', $number;
    fcntl $link, 2, 1;
    $! = 0;
}

# The program finds its own modules.
@INC = grep { $_ ne "$ENV{SORNA_KERNEL_INPUT}/perl" } @INC if defined $ENV{SORNA_KERNEL_INPUT};
if (asks()) {
    # As on a terminal.
    STDOUT->autoflush(1) if STDOUT->can('autoflush');
    my $selected = select STDOUT;
    $| = 1;
    select $selected;
    my $hook = \&hook;
    unshift @INC, $hook;
}

1;
