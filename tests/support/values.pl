# What the tests share that compare a framing with Perl's own: random messages, what differs between what was sent
# and what came back, and the loop that answers. A test's own script comes behind this. It says how a message is
# written and read ($encode, $decode), where its framing keeps less than Perl ($plain, $scalar), and ends with
#    serve $VERSION, word => sub { .. }, ..;
# A request is a word and arguments, octet strings in hexadecimal; an answer "ok .." or "err ..".
use strict; use warnings; no warnings qw(once portable recursion);
use B (); use JSON::XS ();
$| = 1;

our ($encode, $decode);
our $json = JSON::XS->new->utf8;
# The messages that were made, for comparing.
our @made;

sub pick { $_[rand @_] }
sub char {
   pick sub { chr 32 + rand 95 }, sub { chr rand 256 }, sub { chr rand 32 },
        sub { pick '"', '\\', '/', "\x{7f}", "\x{d7ff}", "\x{e000}", "\x{feff}", "\x{ffff}" },
        sub { chr 0x100 + rand 0xd600 }, sub { chr 0x10000 + rand 0x100000 };
}
sub string {
   my $char = rand () < .5 ? sub { chr 32 + rand 95 } : rand () < .5 ? sub { chr rand 256 } : \&char;
   join '', map { my $c = $char->(); ref $c ? $c->() : $c } 1 .. rand 24
}
sub integer {
   my $u = (int (rand 2**32) << 32 | int rand 2**32) >> int rand 64;
   pick $u, unpack ("q", pack "Q", $u), 0, -1, 18446744073709551615, -9223372036854775807 - 1
}
sub float {
   pick unpack ("d>", "\x80\0\0\0\0\0\0\0"), 1e20, 1.5, -2.25, 0.1, 1e-7, 1e300,
        (rand () - .5) * 10 ** int (rand 60) / 1e30
}
sub value {
   my ($depth) = @_;
   my $r = rand ($depth > 4 ? 6 : 9);
   return undef                                                       if $r < .5;
   return pick Types::Serialiser::true (), Types::Serialiser::false () if $r < 1;
   return integer () if $r < 2;
   return float ()   if $r < 3;
   return string ()  if $r < 6;
   return [map value ($depth + 1), 1 .. rand 6] if $r < 7.5;
   +{ map { string () => value ($depth + 1) } 1 .. rand 6 }
}
sub message { rand () < .05 ? [] : [rand () < .9 ? string () : integer (), map value (0), 1 .. rand 5] }

# What a scalar is to an encoder.
sub kind {
   my $flags = B::svref_2object (\$_[0])->FLAGS;
   $flags & B::SVf_POK ? "string" : $flags & B::SVf_IOK ? "integer" : $flags & B::SVf_NOK ? "float" : "nothing"
}
# In what does a scalar that came back differ from the one that was sent, where numbers and strings are told apart?
sub typed {
   my ($was, $is) = (kind ($_[0]), kind ($_[1]));
   # JSON::XS reads its own -2**63 as a string.
   return "" if $was eq "integer" && $is eq "string" && $_[1] eq "-9223372036854775808" && $_[0] == $_[1];
   return "$was became $is" if $was ne $is && !($was eq "float" && $is eq "integer");
   return $_[0] eq $_[1] ? "" : "another string" if $was eq "string";
   return $_[0] == $_[1] ? "" : "another integer" if $was eq "integer";
   return abs ($_[0] - $_[1]) <= 1e-14 * abs $_[0] ? "" : "another float" if $was eq "float";
   ""
}
our $plain = sub { $_[0] };
our $scalar = \&typed;

# In what does what came back differ from what was sent? In nothing if empty. Comparing can change what a scalar is to
# an encoder, so copies are compared.
sub differ {
   my ($was, $is, $path) = ($plain->($_[0]), $plain->($_[1]), $_[2]);
   no warnings 'uninitialized';
   return "$path: another type: $was, $is" if ref $was ne ref $is or defined $was ne defined $is;
   if (ref $was eq "ARRAY") {
      return "$path: another length" if @$was != @$is;
      for (0 .. $#$was) { my $d = differ ($was->[$_], $is->[$_], "$path\[$_]"); return $d if $d }
   } elsif (ref $was eq "HASH") {
      return "$path: another size" if keys %$was != keys %$is;
      for (keys %$was) {
         return "$path: a key is missing" unless exists $is->{$_};
         my $d = differ ($was->{$_}, $is->{$_}, "$path\{}"); return $d if $d
      }
   } elsif (ref $was) {
      return "$path: another boolean" if !!$was ne !!$is
   } else {
      my $d = $scalar->($was, $is); return "$path: $d" if $d
   }
   ""
}
sub verdict { my $d = differ ($_[0], $_[1], "message"); $d ? "err $d" : "ok" }
# Does it name a port?
sub good { ref $_[0] eq "ARRAY" and !@{$_[0]} || defined $_[0][0] && !ref $_[0][0] }

sub serve {
   my ($version, %do) = @_;
   %do = (
      seed  => sub { srand $_[0]; "ok" },
      make  => sub { @made = map message (), 1 .. $_[0]; join " ", "ok", map { unpack "H*", $encode->($_) } @made },
      # A message, or its JSON, against the one made before.
      check => sub { verdict ($made[$_[0]], $decode->(pack "H*", $_[1])) },
      checkjson => sub { verdict ($made[$_[0]], $json->decode (pack "H*", $_[1])) },
      # Two messages in JSON.
      differ => sub { verdict (map $json->decode (pack "H*", $_), @_) },
      %do,
   );
   print "ready $version\n";
   while (<STDIN>) {
      my ($what, @arguments) = split;
      my $answer = eval { $do{$what}->(@arguments) } // "err $@";
      $answer =~ s/\n/ /g;
      print "$answer\n";
   }
}
