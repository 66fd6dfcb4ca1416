# Spawns a service of a node by its name, talks to it until it ends, and has one spawn here.
# spawns.pl SEED
use strict;
use warnings;

use AnyEvent;
use AnyEvent::MP;

$| = 1;
my ($seed) = @ARGV;
configure (nodeid => "perl", binds => [], seeds => [$seed]);

my $over = AnyEvent->condvar;
my $limit = AnyEvent->timer (after => 20, cb => sub { print "too late\n"; exit 1 });

my $step = 0;

sub made {
   my ($to) = @_;
   rcv $SELF, go => sub {
      snd $to, made => 5;
      kil $SELF, custom => "why";
   };
}

sub text {
   join " ", map { ref $_ ? "[" . text (ref $_ eq "ARRAY" ? @$_ : map { ($_, $_[0]{$_}) } sort keys %$_) . "]" : $_ } @_
}

my ($till, $maker);
my $to = port;

rcv $to, sub {
   my @message = @_;
   if (ref $message[0] eq "HASH") {
      # What the service was told of the port that it had spawned here.
      print "reason ", text (@{ $message[0]{reason} }), "\n";
      return $over->send;
   }
   print "got ", (ref $message[0] ? text (@{ $message[0] }) : text (@message[0, 2])), "\n";
   snd $till, hello => 7 if $step == 0;
   snd $till, exit => 3 if $step == 1;
   ++$step;
};

$till = spawn "s", "shop::till", $to, "from", "perl";
mon $till, sub {
   print "died @_\n";
   $maker = spawn "s", "shop::maker", "perl", $to;
};

$over->recv;
