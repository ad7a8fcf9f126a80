package SornaInput;

# Adapts the standard input of a kernel for perl: prompts are seen, without a terminal.

use strict;
use warnings;

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

sub hook {
    my ($self, $file) = @_;
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
