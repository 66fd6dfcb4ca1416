#!/usr/bin/env perl
# The Perl side of the benchmarks: a real AnyEvent::MP node that is measured, or measured against.
#
#   bench.pl server --port N [--ports K]
#   bench.pl client [--seed 127.0.0.1:N]
#   bench.pl mesh   --port N [--seed 127.0.0.1:S] --nodes K
#
#   --nodeid ID   --secret S   --framing json|cbor|storable   --autocork 0|1   --life SECONDS
#
# Writes one JSON object per line on standard output; logs go to standard error. Ends when standard input ends,
# and after --life seconds (60). Which AnyEvent::MP is used is the caller's business (PERL5LIB or -I). Works
# with 0.95 to 2.02; what the releases do differently is found out by looking, in one place each.
#
# server  prints {"ready":true,"node":..,"address":..,"sink":[..],"echo":..,"control":..,"release":..}
#   sink     m N TEXT HASH       counts, one counter for all of them
#   echo     e REPLY X           -> REPLY: r X
#            c X REPLY           -> REPLY: X      (for cal)
#   control  count REPLY         -> REPLY: counted TOTAL. What came before it on the link has been counted.
#            ports REPLY N       -> REPLY: ports ID.. (as often as it takes), portsend
#
# client  answers each line on standard input with one line: the result, {"error":..} or {"unsupported":..}
#   {"do":"connected"}                                            {"connected":true,"node":..}
#   {"do":"oneway","ports":[..],"control":ID,"count":N,"size":S}  {"seconds":..,"count":..}
#   {"do":"roundtrip","echo":ID,"count":N}                        and median_us, p99_us, p999_us
#   {"do":"cal","echo":ID,"count":N,"callers":C}
#   {"do":"monkil","control":ID,"count":N}
#   {"do":"local","count":N,"size":S}                             needs no other node
#
# mesh    prints {"loaded":true}, waits for the line "go", becomes a node, prints {"up":true,"seconds":..} as soon as
#         K-1 other nodes are connected
use strict;
use warnings;
no warnings "once";    # other modules' variables are named once here

use Errno ();
use POSIX ();
use Time::HiRes ();
use AnyEvent;
use AnyEvent::Handle;
use AnyEvent::MP;
use AnyEvent::MP::Kernel ();
use AnyEvent::Util ();
use JSON::XS ();

my $role = shift @ARGV;
$role = "" unless defined $role;
$role =~ /^(?:server|client|mesh)$/ or die "bench.pl: the role is one of server, client, mesh, not '$role'\n";

my %option = (life => 60, ports => 1, nodeid => "bench-$role-$$");
while (@ARGV) {
   my $word = shift @ARGV;
   $word =~ /^--(port|ports|seed|nodes|nodeid|secret|framing|autocork|life)$/ && @ARGV
      or die "bench.pl: unknown argument '$word', or its value is missing\n";
   $option{$1} = shift @ARGV;
}
for ($role eq "server" ? qw(port) : $role eq "mesh" ? qw(port nodes) : ()) {
   defined $option{$_} or die "bench.pl: $role needs --$_\n";
}

my $release = "$AnyEvent::MP::VERSION";
my ($major, $minor) = $release =~ /^(\d+)\.(\d+)/;
my $number  = "$major.$minor" + 0;
my $has_cal = defined &AnyEvent::MP::cal;
my $has_remote_kil = $number >= 1.26;
my $has_full_mesh  = $number < 2;

# Up to 1.30 every node takes part in the global service, and in 2.x only some do: not to be loaded there. Here, and
# not by configure, so that the time it takes to load is not measured.
require AnyEvent::MP::Global if $number < 2;

my $coder = JSON::XS->new->utf8->canonical;

binmode STDOUT, ":raw";

sub emit {
   my $line = $coder->encode ($_[0]) . "\n";
   my $done = 0;
   while ($done < length $line) {
      my $n = syswrite STDOUT, $line, length ($line) - $done, $done;
      if (defined $n) {
         $done += $n;
      } elsif ($!{EAGAIN} || $!{EINTR}) {    # standard output can be the terminal that standard input is
         vec (my $ready = "", fileno STDOUT, 1) = 1;
         select undef, $ready, undef, 1;
      } else {
         POSIX::_exit (4);    # nobody listens any more
      }
   }
}

sub now () { Time::HiRes::clock_gettime (Time::HiRes::CLOCK_MONOTONIC ()) }

sub strings { map "$_", @_ }

#############################################################################
# the node

my %up;          # the nodes that are connected
our $on_up;      # called when there is one more
our $waiting;    # the condition variable somebody waits for: must not wait for what a lost node owes

sub become_a_node {
   my (%args) = @_;

   $args{nodeid}   = $option{nodeid};
   $args{seeds}    = [$option{seed}]        if defined $option{seed};
   $args{autocork} = $option{autocork} + 0  if defined $option{autocork};    # 1.24 and later; before, always on
   $args{secret}   = $option{secret}        if defined $option{secret};
   if ($number < 1.1 && defined $option{secret}) {    # there only the configuration file's secret counts: as if it said so
      $AnyEvent::MP::Config::CFG{secret} = $option{secret};
      delete $AnyEvent::MP::Config::CFG{dirty};       # and is not to be written to the file
   }
   if (defined $option{framing}) {
      my @framing = split /,/, $option{framing};
      $args{framing_format} = \@framing;    # 1.26 and later
      $args{data_format}    = \@framing;    # 1.1 to 1.24
      @AnyEvent::MP::Transport::FRAMINGS = @framing;    # before that
   }

   AnyEvent::MP::Kernel::mon_nodes (sub {
      my ($node, $is_up, @reason) = @_;
      if ($is_up) {
         $up{$node} = 1;
         $on_up->() if $on_up;
      } else {
         delete $up{$node};
         $waiting->croak ("lost node $node: @reason\n") if $waiting;
      }
   });

   configure %args;
}

sub address {
   my ($bound) = @{ $AnyEvent::MP::Kernel::LISTENER || $AnyEvent::MP::Kernel::BINDS || [] };
   defined $bound ? "$bound" : "127.0.0.1:$option{port}"
}

sub await {
   local $waiting = $_[0];
   $_[0]->recv
}

#############################################################################
# server

sub serve {
   become_a_node (binds => ["127.0.0.1:$option{port}"]);

   my $counted = 0;
   my $count   = sub { $counted++ };
   my @sink    = map { my $port = port; rcv $port, m => $count; $port } 1 .. $option{ports};

   my $echo = port;
   rcv $echo,
      e => sub { snd $_[0], r => $_[1] },
      c => sub { snd $_[-1], $_[0] };

   my $control = port;
   rcv $control,
      count => sub { snd $_[0], counted => $counted },
      ports => sub {
         my ($reply, $left) = @_;
         while ($left > 0) {
            my $some = $left < 500 ? $left : 500;
            snd $reply, ports => map { port (sub { }) } 1 .. $some;
            $left -= $some;
         }
         snd $reply, "portsend";
      };

   emit ({ ready   => JSON::XS::true,
           node    => NODE,
           address => address (),
           sink    => [strings @sink],
           echo    => "$echo",
           control => "$control",
           release => $release });
}

#############################################################################
# client

# One question to the server's control port: the total of the messages that its sinks got.
sub total {
   my ($control) = @_;
   my $cv    = AE::cv;
   my $reply = port;
   rcv $reply, counted => sub { $cv->send ($_[0]) };
   snd $control, count => $reply;
   my $total = await ($cv);
   kil $reply;
   $total
}

sub fresh_ports {
   my ($control, $count) = @_;
   my $cv    = AE::cv;
   my $reply = port;
   my @ports;
   rcv $reply,
      ports    => sub { push @ports, @_ },
      portsend => sub { $cv->send };
   snd $control, ports => $reply, $count;
   await ($cv);
   kil $reply;
   @ports == $count or die "asked for $count ports, got " . @ports . "\n";
   @ports
}

sub text_of {
   my ($size) = @_;
   $size ? "x" x $size : "hello world"
}

# The handle of the connection to the node of a port.
sub handle_to {
   my ($port) = @_;
   my $node      = $AnyEvent::MP::Kernel::NODE{node_of $port};
   my $transport = $node && $node->{transport} or die "no connection to the node of $port\n";
   $transport->{hdl} or die "the connection to the node of $port has no handle\n"
}

# Sends as long as not too much waits to be written, and goes on when little does, so that memory stays bounded and the
# link does not run dry. The event loop comes to its turn at least every so many messages. A window of acknowledgements
# on top of that made it slower with 1.30 and 2.02, and no clear difference with 0.95 and 1.24.
sub oneway {
   my ($args) = @_;
   my ($ports, $control, $count) = @$args{qw(ports control count)};
   @$ports or die "no ports\n";
   my ($much, $little, $portion) = (262144, 65536, 1000);
   my $text   = text_of ($args->{size});
   my $hash   = { k => [1, 2, 3] };
   my $turn   = 0;
   my $sent   = 0;
   my $before = total ($control);
   my $handle = handle_to ($ports->[0]);
   my $done   = AE::cv;
   my ($step, $stepping, $later);
   $step = sub {
      return if $stepping;    # without autocork a message can be written, and so all be written, at once
      $stepping = 1;
      undef $later;
      $handle->on_drain (undef);
      my $end = $sent + $portion < $count ? $sent + $portion : $count;
      while ($sent < $end && defined $handle->{wbuf} && length $handle->{wbuf} < $much) {
         snd $ports->[$turn], m => $sent++, $text, $hash;
         $turn = 0 if ++$turn == @$ports;
      }
      $stepping = 0;
      if (!defined $handle->{wbuf})            { }    # the node has been lost, and whoever waits knows it
      elsif ($sent == $count)                  { $done->send }
      elsif (length $handle->{wbuf} > $little) { $handle->on_drain ($step) }
      else                                     { $later = AE::timer 0, 0, $step }
   };
   my $stop = AnyEvent::Util::guard { undef $step; undef $later; $handle->on_drain (undef) };
   $handle->{low_water_mark} = $little;
   my $start = now;
   $step->();
   await ($done);
   my $after   = total ($control);
   my $seconds = now - $start;
   $after - $before == $count or die "sent $count messages, " . ($after - $before) . " were counted\n";
   { seconds => $seconds, count => $count + 0 }
}

sub percentile {
   my ($sorted, $part) = @_;
   my $index = POSIX::ceil ($part * @$sorted) - 1;
   sprintf ("%.1f", $sorted->[$index < 0 ? 0 : $index] * 1e6) + 0
}

sub roundtrip {
   my ($args) = @_;
   my ($echo, $count) = @$args{qw(echo count)};
   $count > 0 or die "count is not positive\n";
   my $done  = AE::cv;
   my $reply = port;
   my $begun;
   my @took;
   rcv $reply, r => sub {
      my $now = now;
      push @took, $now - $begun;
      $_[0] == @took or return $done->croak ("got echo $_[0] for echo " . @took . "\n");
      return $done->send if @took == $count;
      $begun = $now;
      snd $echo, e => $reply, 1 + @took;
   };
   my $start = $begun = now;
   snd $echo, e => $reply, 1;
   await ($done);
   my $seconds = now - $start;
   kil $reply;
   @took = sort { $a <=> $b } @took;
   { seconds   => $seconds,
     count     => $count + 0,
     median_us => percentile (\@took, 0.5),
     p99_us    => percentile (\@took, 0.99),
     p999_us   => percentile (\@took, 0.999) }
}

sub call {
   my ($args) = @_;
   my ($echo, $count, $callers) = @$args{qw(echo count callers)};
   $has_cal or return { unsupported => "release $release has no cal" };
   $count > 0 or die "count is not positive\n";
   my $done = AE::cv;
   my ($begun, $ended) = (0, 0);
   my $next; $next = sub {
      return if $begun == $count;
      my $x = ++$begun;
      AnyEvent::MP::cal ($echo, c => $x, sub {
         @_ && $_[0] == $x or return $done->croak ("call $x failed\n");
         return $done->send if ++$ended == $count;
         $next->();
      });
   };
   my $start = now;
   $next->() for 1 .. $callers || 1;
   await ($done);
   my $seconds = now - $start;
   undef $next;
   { seconds => $seconds, count => $count + 0 }
}

sub monkil {
   my ($args) = @_;
   my ($control, $count) = @$args{qw(control count)};
   $has_remote_kil or return { unsupported => "a kil of another node's port has no effect in release $release" };
   $count > 0 or die "count is not positive\n";
   my @ports = fresh_ports ($control, $count);
   my $done  = AE::cv;
   my ($begun, $ended) = (0, 0);
   my $more; $more = sub {
      while ($begun < $count && $begun - $ended < 1000) {
         my $port = $ports[$begun++];
         mon $port, sub {
            @_ && $_[0] eq "bench" or return $done->croak ("$port ended for another reason: @_\n");
            ++$ended == $count ? $done->send : $more->();
         };
         kil $port, bench => "enough";
      }
   };
   my $start = now;
   $more->();
   await ($done);
   my $seconds = now - $start;
   undef $more;
   { seconds => $seconds, count => $count + 0 }
}

# A node hands itself 50 messages at once and puts off what else there is until the event loop comes to its turn, which
# costs more: portions of so many and one, because it is the one put off that begins the next 50. (0.95 and 1.0 never
# put off anything.)
sub within {
   my ($args) = @_;
   my ($count, $portion) = ($args->{count}, 51);
   my $text  = text_of ($args->{size});
   my $hash  = { k => [1, 2, 3] };
   my $done  = AE::cv;
   my $port  = port;
   my ($sent, $counted) = (0, 0);
   rcv $port, m => sub { $counted++ };
   my ($step, $later);
   $step = sub {
      return $done->send if $counted == $count;
      my $end = $sent + $portion < $count ? $sent + $portion : $count;
      snd $port, m => $sent++, $text, $hash while $sent < $end;
      $later = AE::timer 0, 0, $step;
   };
   my $start = now;
   $step->();
   await ($done);
   my $seconds = now - $start;
   undef $step;
   undef $later;
   kil $port;
   { seconds => $seconds, count => $count + 0 }
}

# The node of the seed is up: a node to which there is a connection to that address. A client has no listeners, so the
# connection is its own.
sub connected {
   defined $option{seed} or die "there is no seed\n";
   my $seed;
   my $done = AE::cv;
   local $on_up = my $look = sub {
      for my $node (sort keys %up) {
         my $transport = ($AnyEvent::MP::Kernel::NODE{$node} || next)->{transport} or next;
         next unless AnyEvent::Socket::format_hostport ($transport->{peerhost}, $transport->{peerport}) eq $option{seed};
         $seed = $node;
         $done->send;
      }
   };
   $look->();
   await ($done);
   { connected => JSON::XS::true, node => "$seed" }
}

my %command = (
   connected => \&connected,
   oneway    => \&oneway,
   roundtrip => \&roundtrip,
   cal       => \&call,
   monkil    => \&monkil,
   local     => \&within,
);

sub answer {
   my ($line) = @_;
   my $answer = eval {
      my $args = $coder->decode ($line);
      ref $args eq "HASH" && defined $args->{do} or die "not a command\n";
      my $code = $command{$args->{do}} or die "unknown command '$args->{do}'\n";
      $code->($args)
   };
   unless ($answer) {
      my $text = "$@";
      $text =~ s/(?: at \S+ line \d+\.)?\n.*//s;
      $answer = { error => $text };
   }
   emit ($answer);
}

#############################################################################
# mesh

sub join_mesh {
   my $start  = now;
   my $others = $option{nodes} - 1;
   my $said;
   $on_up = sub {
      return if $said || keys %up < $others;
      $said = 1;
      emit ({ up => JSON::XS::true, seconds => now - $start });
   };
   become_a_node (binds => ["127.0.0.1:$option{port}"]);
   $on_up->();    # a mesh of one
}

#############################################################################
# Lines are dealt with in the main loop, outside every callback, because `configure` waits for events itself.

my (@line, $wake);

my $input; $input = new AnyEvent::Handle
   fh       => \*STDIN,
   on_eof   => sub { POSIX::_exit (0) },
   on_error => sub { POSIX::_exit (0) },
   on_read  => sub {
      $_[0]->push_read (line => sub { push @line, $_[1]; $wake->send if $wake });
   };
my $life = AE::timer $option{life}, 0, sub { print STDERR "bench.pl: lived $option{life} seconds, ending\n"; POSIX::_exit (3) };

if ($role eq "server") {
   serve ();
} elsif ($role eq "client") {
   become_a_node (binds => []);
} else {
   emit ({ loaded => JSON::XS::true });
}

while () {
   $wake = AE::cv;
   while (@line) {
      my $line = shift @line;
      next unless $line =~ /\S/;
      if ($role eq "client") {
         answer ($line);
      } elsif ($role eq "mesh" && $line =~ /^\s*go\s*$/) {
         $has_full_mesh ? join_mesh ()
                        : emit ({ unsupported => "release $release connects nodes on demand, not all with each other" });
      }
   }
   $wake->recv;
}
