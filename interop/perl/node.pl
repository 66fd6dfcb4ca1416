#!/usr/bin/env perl
# A real AnyEvent::MP node on a string: the driver of interop/DRIVER.md for Perl.
#
#   node.pl [--life SECONDS]
#
# Reads one command per line (JSON) on standard input, writes one answer or event per line (JSON) on
# standard output; logs go to standard error. Ends when standard input ends, and after --life seconds.
# Which AnyEvent::MP is used is the caller's business (PERL5LIB or -I). Works with 0.95 to 2.02: what
# the releases do differently is found out by looking, in one place each.
use strict;
use warnings;
no warnings "once";    # other modules' variables are named once here

use POSIX ();
use AnyEvent;
use AnyEvent::Handle;
use AnyEvent::MP;
use AnyEvent::MP::Kernel ();
use JSON::XS ();

# from 2.0 on this module turns a node into a global one, which is for its seeds' side to ask for
BEGIN { require AnyEvent::MP::Global if $AnyEvent::MP::VERSION < 2 }

my %option = (life => 120);
while (@ARGV) {
   my $word = shift;
   $word =~ /^--(life)$/ or die "node.pl: unknown argument '$word'\n";
   $option{$1} = shift;
}

my $release = "$AnyEvent::MP::VERSION";
my ($major, $minor) = $release =~ /^(\d+)\.(\d+)/;
my $number     = "$major.$minor" + 0;
my $generation = $number < 1.1 ? "0" : $number < 1.25 ? "1a" : $number < 2 ? "1b" : "2";
my $has_groups_1 = defined &AnyEvent::MP::Global::grp_reg;       # 1.1 to 1.30
my $has_db       = defined &AnyEvent::MP::db_reg;                # 2.0 and later
my $has_group_monitor = $has_db || defined &AnyEvent::MP::Global::grp_mon && $number >= 1.2;    # in 1.1 they do not work
my $has_cal    = defined &AnyEvent::MP::cal;
my $has_peval  = defined &AnyEvent::MP::peval;

#############################################################################
# out: answers and events

my $coder = JSON::XS->new->utf8->canonical->allow_nonref;

binmode STDOUT, ":raw";
$| = 1;

sub emit {
   my $line = eval { $coder->encode ($_[0]) };
   $line = $coder->encode ({ ev => "fault", text => "cannot encode: $@" }) unless defined $line;
   $line .= "\n";
   my $done = 0;
   while ($done < length $line) {
      my $n = syswrite STDOUT, $line, length ($line) - $done, $done;
      defined $n or POSIX::_exit (4);    # nobody listens any more
      $done += $n;
   }
}

sub event { my ($name, %more) = @_; emit ({ ev => $name, %more }) }

#############################################################################
# what can happen with a message

# actions: name => sub { (port) returns the callback }
my %action = (
   # report every message
   record => sub { my ($port, $tag) = @_; my @tag = defined $tag ? (tag => $tag) : ();
                   sub { event (msg => port => $port, @tag, msg => [@_]) } },
   # report only how long the JSON text of the message is, and its tag
   size   => sub { my ($port, $tag) = @_; my @tag = defined $tag ? (tag => $tag) : ();
                   sub { event (size => port => $port, @tag, octets => length $coder->encode ([@_])) } },
   # swallow
   mute   => sub { sub { } },
   # [REPLY, ...] -> REPLY: [...]
   echo   => sub { sub { my $to = shift; snd $to, @_ } },
   # [REPLY, ...] -> REPLY: ["echoed", ...]
   echoed => sub { sub { my $to = shift; snd $to, echoed => @_ } },
   # [..., REPLY] -> REPLY: ["answered", ...]
   answer => sub { sub { my $to = pop; snd $to, answered => @_ } },
   # fail in the port's code with the text
   die    => sub { sub { die "$_[0]\n" } },
   # the port kills itself with the reason
   kil    => sub { sub { kil $AnyEvent::MP::SELF, @_ } },
);

my %counter;     # port => { count, next, problems, expect, seen by sender }

sub counter {
   my ($port, $expect, $pause) = @_;
   my $state = $counter{$port} = { count => 0, problems => [], expect => $expect, next => {} };
   sub {
      my ($who, $seq) = @_;
      select undef, undef, undef, $pause / 1000 if $pause;
      my $next = $state->{next}{$who} || 0;
      if ($seq != $next) {
         push @{ $state->{problems} }, { from => $who, expected => $next + 0, got => $seq }
            if @{ $state->{problems} } < 10;
         $state->{holes}++;
      }
      $state->{next}{$who} = $seq + 1;
      event (counted => port => $port, count => $state->{count}, holes => $state->{holes} || 0)
         if ++$state->{count} == ($state->{expect} || 0);
   }
}

# messages [FROM, EPOCH, N, ..]: within an epoch N counts 0, 1, 2 .. without hole, epochs never go back
sub stream {
   my ($port) = @_;
   my $state = $counter{$port} = { count => 0, problems => [], last => {} };
   sub {
      my ($who, $epoch, $seq) = @_;
      my $last = $state->{last}{$who} ||= [0, -1];
      $state->{count}++;
      if ($epoch == $last->[0] ? $seq != $last->[1] + 1 : $epoch < $last->[0] || $seq != 0) {
         $state->{holes}++;
         push @{ $state->{problems} }, { from => $who, expected => [@$last], got => [$epoch, $seq] }
            if @{ $state->{problems} } < 10;
      }
      $state->{last}{$who} = [$epoch, $seq];
   }
}

my %sending;     # id => { epoch, seq, fired, problems, stop }

# Sends such messages to a port until told to stop. The port is monitored; an epoch begins when the monitor is set
# and ends when it fires. In 2.02 a monitor that a global node sets while it knows no address of the other never fires:
# there the next one is set, and sending goes on, when the node is connected again.
sub start_stream {
   my ($id, $to) = @_;
   my $state = $sending{$id} = { epoch => 0, seq => 0, fired => 0, doubles => 0, sent => 0 };
   my $begin; $begin = sub {
      my $epoch = $state->{epoch};
      my $fired = 0;
      delete $state->{pause};
      $state->{guard} = mon $to, sub {
         return if $state->{stopped};
         $state->{doubles}++ if $fired++;
         $state->{fired}++;
         event (epoch => stream => $id + 0, ended => $epoch, reason => [@_]);
         return if $fired > 1;
         $state->{epoch}++;
         $state->{seq} = 0;
         if ($has_db) { $state->{pause} = AE::timer 0, 0.02, sub { $begin->() if AnyEvent::MP::Kernel::node_is_up (node_of ($to)) } }
         else         { $begin->() }
      };
   };
   $begin->();
   $state->{timer} = AE::timer 0, 0.002, sub {
      return if $state->{pause};
      for (1 .. 5) { last if $state->{pause}; $state->{sent}++; snd $to, NODE, $state->{epoch}, $state->{seq}++, "some payload \x{263a}" }
   };
}

sub make_port {
   my ($kind, $args) = @_;
   my $port = port;
   return $port if $kind eq "none";
   if ($kind eq "tags") {
      rcv $port, map { ($_ => $action{$_}->($port, $_)) } qw(echo echoed die kil record);
   } elsif ($kind eq "counter") {
      rcv $port, counter ($port, $args->{expect}, $args->{pause});
   } elsif ($kind eq "stream") {
      rcv $port, stream ($port);
   } else {
      my $make = $action{$kind} or die "unknown kind of port '$kind'\n";
      rcv $port, $make->($port);
   }
   $port
}

#############################################################################
# functions for nodes that spawn here

sub spawned {
   my ($func, @args) = @_;
   event (spawned => port => $AnyEvent::MP::SELF, func => $func, args => \@args);
}

sub values_of_every_type {
   (0, -1, 2147483648, 9007199254740993, 1.5, 0.1, 1e20, -0.0, "10", "", "caf\xe9", "\x{263a}", "tab\tnl\nquote\"back\\",
    "\x00\x1f\x7f", undef, [], {}, [[1], { a => [undef] }], { k => "v" })
}

# spawned as `::test_main`
sub test_main {
   my ($reply, @args) = @_;
   rcv $AnyEvent::MP::SELF, sub { };
   snd $reply, main => $AnyEvent::MP::SELF, @args;
}

sub on_destroy::DESTROY { $_[0]->() }

package aemp_test;

use AnyEvent::MP;

# a port with the tags of kind "tags" that tells REPLY where it is
sub init {
   my ($reply, @args) = @_;
   my $self = $AnyEvent::MP::SELF;
   main::spawned ("aemp_test::init", @_);
   rcv $self, map { ($_ => $action{$_}->($self, $_)) } qw(echo echoed die kil record);
   snd $reply, ready => $self, @args;
}

# dies while it is being set up
sub boom {
   my ($text) = @_;
   main::spawned ("aemp_test::boom", @_);
   rcv $AnyEvent::MP::SELF, sub { };
   die "$text\n";
}

# dies together with the port that is named
sub tied {
   my ($other, $reply) = @_;
   my $self = $AnyEvent::MP::SELF;
   main::spawned ("aemp_test::tied", @_);
   rcv $self, sub { };
   mon $other, $self;
   snd $reply, tied => $self;
}

# tells REPLY why the named port ended
sub watch {
   my ($other, $reply) = @_;
   my $self = $AnyEvent::MP::SELF;
   main::spawned ("aemp_test::watch", @_);
   rcv $self, sub { };
   mon $other, sub { snd $reply, fired => @_ };
   snd $reply, watching => $self;
}

# sends the list of values as this node's language writes it
sub values {
   my ($reply) = @_;
   main::spawned ("aemp_test::values", @_);
   rcv $AnyEvent::MP::SELF, sub { };
   snd $reply, values => main::values_of_every_type ();
}

# not for spawn: a request to the node port by the name of a function
sub call {
   my ($reply, @args) = @_;
   snd $reply, called => @args;
}

# not for spawn either: which node asked, as far as the release says; it is an object until 2.0
sub who {
   my ($reply) = @_;
   no warnings "once";
   my $from = $AnyEvent::MP::Kernel::SRCNODE;
   snd $reply, who => ref $from ? $from->{id} : $from;
}

package main;

#############################################################################
# data connections

my %data;     # connections, by role and number

# octets that are unlike each other: block N of those that begin with SEED
sub octets { my ($seed, $n) = @_; join "", map Digest::MD5::md5 ("$seed/$n/$_"), 0 .. 1023 }

# Sends and receives so many octets, both at once, and says what they were.
sub exchange {
   my ($role, $conn, $send, $receive, $handle) = @_;
   require Digest::MD5;
   require Digest::SHA;
   my ($sent, $got) = (Digest::SHA->new (256), Digest::SHA->new (256));
   my ($left, $count, $n, $over) = ($send, 0, 0, 0);
   my $key = "$role $conn";
   $data{$key} = $handle;
   my $end = sub {
      my (%more) = @_;
      return if $over++;
      event (data => role => $role, conn => $conn + 0, received => $count + 0, digest => $got->hexdigest, sent => $sent->hexdigest,
             tls => $handle->{tls} ? JSON::XS::true : JSON::XS::false, %more);
      delete $data{$key};
      $handle->destroy;
   };
   my $done = sub { $end->() if !$left && $count >= $receive && !length $handle->{wbuf} };
   $handle->on_error (sub { $end->(error => "$_[2]") });
   $handle->on_eof   (sub { $end->(error => "end of the stream") });
   $handle->on_drain (sub {
      return $done->() unless $left;
      my $octets = octets ($key, $n++);
      $octets = substr $octets, 0, $left if length $octets > $left;
      $left -= length $octets;
      $sent->add ($octets);
      $handle->push_write ($octets);
   });
   $handle->on_read (sub {
      my $octets = delete $_[0]{rbuf};
      $got->add ($octets);
      $count += length $octets;
      $done->();
   });
}

sub aemp_test::data {
   my ($conn, $send, $receive, $handle) = @_;
   exchange (taker => $conn, $send, $receive, $handle);
}

#############################################################################
# log lines

# what is written to standard error is also an event, once lines are caught
{
   package aemp_test::caught;
   sub TIEHANDLE { bless [$_[1]], $_[0] }
   sub PRINTF    { my $self = shift; my $format = shift; $self->PRINT (sprintf $format, @_) }
   sub PRINT     { my $self = shift; main::event (log => text => join "", @_); print { $self->[0] } @_ }
   sub FILENO    { fileno $_[0][0] }
   sub BINMODE   { }
}

sub catch_logs {
   my ($level) = @_;
   require AnyEvent::MP::LogCatcher;
   if ($has_db) {
      $AnyEvent::Log::COLLECT->attach (new AnyEvent::Log::Ctx level => 9, log_cb => sub { event (log => text => $_[0]); 1 })
         unless $data{tied}++;
   } elsif (!$data{tied}++) {
      open my $err, ">&", \*STDERR or die "dup: $!\n";
      select ((select ($err), $| = 1)[0]);
      tie *STDERR, "aemp_test::caught", $err;
   }
   AnyEvent::MP::LogCatcher::catch ($level);
}

#############################################################################
# commands

my (%monitor, %registration, %watch);

# A node of 2.02 that was lost once is kept only by the guards of its monitors; the connection that it has by then
# goes with the last of them, and nobody is told. So they are kept here.
my %node_object;
my $serial = 0;

sub strings { map { "$_" } @_ }

# The families of the database that are kept here as groups: family => { ports => { port => 1 }, told => { id => callback }, guard }.
# Members are counted here, one monitor for each family: a global node's own monitor (2.02) forgets what was there
# when it began, as soon as it has told it, and a second monitor of the family never hears of it.
my %copy;

sub copy_of {
   my ($family) = @_;
   $copy{$family} ||= do {
      my $copy = { ports => {}, told => {} };
      $copy->{guard} = db_mon ($family => sub {
         my (undef, $add, $change, $del) = @_;
         my @new  = grep !$copy->{ports}{$_}++, @{ $add || [] }, @{ $change || [] };
         my @gone = grep delete $copy->{ports}{$_}, @{ $del || [] };
         @new || @gone or return;
         $_->([keys %{ $copy->{ports} }], \@new, \@gone) for values %{ $copy->{told} };
      });
      $copy
   }
}

sub group_reg {
   my ($group, $port) = @_;
   my ($guard) = $has_db       ? scalar AnyEvent::MP::db_reg ($group, $port)
               : $has_groups_1 ? AnyEvent::MP::Global::grp_reg ($group, $port)
                               : AnyEvent::MP::Global::register ($port, $group);
   $guard
}

sub group_get {
   my ($group) = @_;
   return [sort keys %{ copy_of ($group)->{ports} }] if $has_db;    # the database gives no answer at once
   my $ports = $has_groups_1 ? AnyEvent::MP::Global::grp_get ($_[0]) : AnyEvent::MP::Global::find ($_[0]);
   [sort @{ $ports || [] }]
}

sub listeners {
   my $list = $generation eq "2" ? $AnyEvent::MP::Kernel::BINDS : $AnyEvent::MP::Kernel::LISTENER;
   [strings @{ $list || [] }]
}

sub known_nodes {
   defined &AnyEvent::MP::Kernel::known_nodes ? AnyEvent::MP::Kernel::known_nodes () : keys %AnyEvent::MP::Kernel::NODE
}

# what the database functions of 2.0 and later need
sub need_db { $has_db or die "this release has no database\n" }

sub in_port {
   my ($port, $code) = @_;
   if ($has_peval) {
      AnyEvent::MP::peval ($port, $code);
   } else {
      local $AnyEvent::MP::SELF = $port;
      my $sub = psub { $code->() };
      undef $AnyEvent::MP::SELF;
      $sub->();
   }
}

my %command; %command = (
   configure => sub {
      my %args = %{ $_[0] };
      # as if they came from the command line: before 2.0, the greeting is hashed as it is kept
      utf8::downgrade ($args{nodeid}, 1) if defined $args{nodeid};
      if ($generation eq "0") {    # there these are variables, not configuration
         $AnyEvent::MP::Kernel::MONITOR_TIMEOUT  = delete $args{monitor_timeout}  if exists $args{monitor_timeout};
         $AnyEvent::MP::Kernel::CONNECT_INTERVAL = delete $args{connect_interval} if exists $args{connect_interval};
         @AnyEvent::MP::Transport::FRAMINGS      = @{ delete $args{framing_format} } if exists $args{framing_format};
      } elsif ($AnyEvent::MP::VERSION < 1.26 && exists $args{framing_format}) {    # it has had another name
         $args{data_format} = delete $args{framing_format};
      }
      AnyEvent::MP::Kernel::mon_nodes (sub {
         my ($node, $up, @reason) = @_;
         $node_object{$node} = $AnyEvent::MP::Kernel::NODE{$node} if $has_db && $up;
         event (node => node => $node, up => $up ? JSON::XS::true : JSON::XS::false, reason => \@reason);
      });
      configure %args;
      { nodeid => NODE, listeners => listeners () }
   },
   listeners => sub { { listeners => listeners () } },

   port => sub { { port => make_port ($_[0]{kind}, $_[0]) } },
   ports => sub {
      my ($args) = @_;
      { ports => [map { make_port ($args->{kind}, $args) } 1 .. $args->{count}] }
   },
   rcv => sub {
      my ($args) = @_;
      my ($port, $tag) = @$args{qw(port tag)};
      my $cb;
      if (defined $args->{action}) {
         my $make = $action{$args->{action}} or die "unknown action '$args->{action}'\n";
         $cb = $make->($port, $tag);
      }
      if (defined $tag) { rcv $port, $tag => $cb }
      else              { rcv $port, $cb || die "a default action cannot be removed\n" }
      {}
   },
   kil => sub { my ($args) = @_; kil $args->{port}, @{ $args->{reason} || [] }; {} },
   in_port => sub {
      my ($args) = @_;
      my $do = $args->{do};
      in_port ($args->{port}, sub {
         if ($do eq "die")    { die "$args->{text}\n" }
         elsif ($do eq "snd") { my ($to, @msg) = @{ $args->{msg} }; snd $to, @msg, $AnyEvent::MP::SELF }
         elsif ($do eq "kil") { kil $AnyEvent::MP::SELF, @{ $args->{reason} || [] } }
         else                 { die "unknown 'do'\n" }
      });
      {}
   },

   snd => sub { my ($args) = @_; snd $args->{to}, @{ $args->{msg} }; {} },
   snd_reference => sub { my ($args) = @_; snd $args->{to}, @{ $args->{msg} }, \1; {} },    # with a reference to 1 behind it
   snd_many => sub {    # [head.., sequence number, tail..], a handful at a time so that the node goes on living
      my ($args, $answer) = @_;
      my ($to, $count, $seq) = ($args->{to}, $args->{count}, $args->{first} || 0);
      my @head = @{ $args->{head} || [] };
      my @tail = @{ $args->{tail} || [] };
      my $last = $seq + $count;
      my $timer; $timer = AE::timer 0, 0.0001, sub {
         for (1 .. 200) {
            if ($seq >= $last) { undef $timer; $answer->({ next => $last }); return }
            snd $to, @head, $seq++, @tail;
         }
      };
      undef
   },
   stream => sub { my $id = ++$serial; start_stream ($id, $_[0]{to}); { stream => $id + 0 } },
   stream_stop => sub {
      my $state = delete $sending{$_[0]{stream}} or die "no such stream\n";
      $state->{stopped} = 1;
      delete $state->{$_} for qw(timer guard pause);
      { epoch => $state->{epoch}, next => $state->{seq}, fired => $state->{fired}, doubles => $state->{doubles}, sent => $state->{sent} }
   },
   snd_big => sub {     # [head.., a string of so many characters]
      my ($args) = @_;
      my $fill = defined $args->{fill} ? $args->{fill} : "x";
      snd $args->{to}, @{ $args->{head} || [] }, $fill x $args->{size};
      {}
   },
   snd_to_func => sub {
      my ($args) = @_;
      AnyEvent::MP::Kernel::snd_to_func ($args->{node}, $args->{func}, @{ $args->{args} || [] });
      {}
   },
   spawn => sub { my ($args) = @_; { port => (spawn $args->{node}, $args->{func}, @{ $args->{args} || [] }) } },
   cal => sub {
      my ($args, $answer) = @_;
      $has_cal or die "this release has no cal\n";
      my @limit = defined $args->{timeout} ? $args->{timeout} : ();
      my $cb = sub { $answer->({ reply => @_ ? [@_] : undef }) };
      AnyEvent::MP::cal ($args->{to}, @{ $args->{msg} }, $cb, @limit);
      undef
   },
   after => sub { my ($args) = @_; my ($to, @msg) = @{ $args->{msg} }; after $args->{seconds}, $to, @msg; {} },

   mon => sub {
      my ($args) = @_;
      my $id   = ++$serial;
      my $form = $args->{form} || "call";
      my $port = $args->{port};
      my $guard;
      if ($form eq "call") {
         $guard = mon $port, sub { event (mon => mon => $id + 0, reason => [@_]) };
      } elsif ($form eq "kill") {
         $guard = mon $port, $args->{target};
      } elsif ($form eq "self") {
         in_port ($args->{target}, sub { local $AnyEvent::MP::SELF = $args->{target}; $guard = mon $port });
      } elsif ($form eq "msg") {
         my ($to, @msg) = @{ $args->{msg} };
         $guard = mon $port, $to, @msg;
      } else {
         die "unknown form of monitor '$form'\n";
      }
      $monitor{$id} = $guard;
      { mon => $id + 0 }
   },
   unmon => sub { delete $monitor{$_[0]{mon}}; {} },

   grp_reg   => sub { my ($args) = @_; my $id = ++$serial; $registration{$id} = group_reg (@$args{qw(group port)}); { reg => $id + 0 } },
   grp_unreg => sub { delete $registration{$_[0]{reg}}; {} },
   grp_get   => sub { { ports => group_get ($_[0]{group}) } },
   grp_mon   => sub {
      my ($group) = $_[0]{group};
      $has_group_monitor or die "this release has no monitors of groups\n";
      my $id = ++$serial;
      my $tell = sub {
         my ($ports, $add, $del) = @_;
         event (group => watch => $id + 0, group => $group, ports => [sort @$ports], add => [sort @$add], del => [sort @$del]);
      };
      if ($has_db) {
         my $copy = copy_of ($group);
         my @now  = keys %{ $copy->{ports} };
         $tell->(\@now, \@now, []) if @now;
         $copy->{told}{$id} = $tell;
         $watch{$id} = bless sub { delete $copy->{told}{$id} }, "on_destroy";
      } else {
         $watch{$id} = AnyEvent::MP::Global::grp_mon ($group, $tell);
      }
      { watch => $id + 0 }
   },
   grp_unmon => sub { delete $watch{$_[0]{watch}}; {} },

   db_set => sub { my ($args) = @_; need_db; db_set ($args->{family}, $args->{key}, $args->{value}); {} },
   db_del => sub { my ($args) = @_; need_db; db_del ($args->{family}, @{ $args->{keys} }); {} },
   db_reg => sub {
      my ($args) = @_;
      need_db;
      my $id = ++$serial;
      $registration{$id} = AnyEvent::MP::db_reg ($args->{family}, $args->{port}, $args->{value});
      { reg => $id + 0 }
   },
   db_mon => sub {
      my $family = $_[0]{family};
      need_db;
      my $id = ++$serial;
      $watch{$id} = db_mon ($family => sub {
         my ($now, @lists) = @_;
         my ($add, $change, $del) = map [sort @{ $_ || [] }], @lists[0 .. 2];
         event (db => watch => $id + 0, family => $family, values => $now, add => $add, change => $change, del => $del);
      });
      { watch => $id + 0 }
   },
   db_family => sub {
      my ($args, $answer) = @_;
      need_db;
      db_family ($args->{family}, sub { $answer->({ values => $_[0] }) });
      undef
   },
   db_keys => sub {
      my ($args, $answer) = @_;
      need_db;
      db_keys ($args->{family}, sub { $answer->({ keys => [sort @{ $_[0] }] }) });
      undef
   },
   db_values => sub {
      my ($args, $answer) = @_;
      need_db;
      db_values ($args->{family}, sub { $answer->({ values => $_[0] }) });
      undef
   },

   nodes => sub {
      { node  => NODE,
        known => [sort keys %{{ map { $_ => 1 } known_nodes () }}],
        up    => [sort map "$_", AnyEvent::MP::Kernel::up_nodes ()] }
   },
   counter => sub {
      my $state = $counter{$_[0]{port}} or die "not a counter\n";
      { count => $state->{count}, holes => $state->{holes} || 0, problems => $state->{problems} }
   },
   data_conn => sub {
      my ($args) = @_;
      require AnyEvent::MP::DataConn;
      my ($conn, $send, $receive) = (++$serial, @$args{qw(send receive)});
      my $port = port;
      mon $port, sub { event (data_failed => conn => $conn + 0, reason => [@_]) };
      in_port ($port, sub {
         AnyEvent::MP::DataConn::connect_to ($args->{node}, $args->{timeout}, $args->{func}, $conn, $receive, $send,
            sub { exchange (opener => $conn, $send, $receive, $_[0]) });
      });
      { conn => $conn + 0 }
   },
   catch => sub { catch_logs ($_[0]{level}); {} },
   log   => sub {
      my ($args) = @_;
      $has_db ? AE::log ($args->{level} => $args->{text}) : $AnyEvent::MP::Kernel::WARN->($args->{level}, $args->{text});
      {}
   },
   ping => sub { {} },
   quit => sub { my (undef, $answer) = @_; $answer->({}); POSIX::_exit ($_[0]{status} || 0) },
);

# Commands run in the main loop, outside every callback, because `configure` waits for events itself.
my (@todo, $wake);

sub run_command {
   my ($line) = @_;
   my $request = eval { $coder->decode ($line) };
   return event (fault => text => "bad command: $@") unless ref $request eq "HASH";
   my $id = $request->{id};
   my $answered;
   my $answer = sub { emit ({ id => $id, ok => $_[0] }) unless $answered++ };
   my $code = $command{$request->{cmd}};
   my $result = $code ? eval { $code->($request->{args} || {}, $answer) } : undef;
   if (!$code)  { emit ({ id => $id, err => "unknown command '$request->{cmd}'" }) }
   elsif ($@)   { my $text = "$@"; chomp $text; emit ({ id => $id, err => $text }) unless $answered++ }
   elsif ($result) { $answer->($result) }
}

my $input; $input = new AnyEvent::Handle
   fh       => \*STDIN,
   on_eof   => sub { POSIX::_exit (0) },
   on_error => sub { POSIX::_exit (0) },
   on_read  => sub {
      $_[0]->push_read (line => sub { push @todo, $_[1]; $wake->send if $wake });
   };
my $life = AE::timer $option{life}, 0, sub { print STDERR "node.pl: lived $option{life} seconds, ending\n"; POSIX::_exit (3) };

event (hello => driver => "perl", release => $release, generation => $generation, pid => $$ + 0,
       features => [($has_cal ? "cal" : ()), ($has_peval ? "peval" : ()), ($has_group_monitor ? "grp_mon" : ()), "eval", "reference",
                    ($has_db ? "db" : "snd_multiple"), "stream", ($number >= 1.1 ? "logs" : ()),
                    ($number >= 1.24 && !$has_db ? "data_conn" : ())]);

while () {
   $wake = AE::cv;
   run_command (shift @todo) while @todo;
   $wake->recv;
}
