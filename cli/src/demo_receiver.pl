# The receiver of the demonstration: node ID and seed are its arguments, what it receives its output.
use strict;
use warnings;
use AnyEvent;
use AnyEvent::MP;
use AnyEvent::MP::Global;

my ($id, $seed) = @ARGV;
$| = 1;
configure nodeid => $id, binds => ["127.0.0.1:0"], seeds => [$seed];

my $port = port;
rcv $port, test => sub { print "received $_[0]\n" };

defined &AnyEvent::MP::Global::register
   ? AnyEvent::MP::Global::register($port, "eg_receivers")
   : AnyEvent::MP::Global::grp_reg(eg_receivers => $port);

my $stop = AnyEvent->condvar;
my $limit = AnyEvent->timer(after => 20, cb => sub { $stop->send });
$stop->recv;
