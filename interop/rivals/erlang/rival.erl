%% Two Erlang nodes that are measured, and one that sends to itself. What aemp-bench asks of them
%% comes as lines of JSON, and is answered so. Each ends with its standard input.
-module(rival).
-export([main/1]).

%% A local sender is no further ahead than so many times so many messages.
-define(AHEAD, 8).
-define(EACH, 4096).

main(Arguments) ->
    spawn(fun() ->
        {Pid, Monitor} = spawn_monitor(fun() -> run(Arguments) end),
        receive
            {'DOWN', Monitor, process, Pid, Reason} ->
                io:format(standard_error, "~p~n", [Reason]),
                halt(1)
        end
    end).

run(["server", Address]) ->
    register(sink, sink()),
    register(echo, spawn_link(fun echo/0)),
    io:format("{\"ready\":true,\"address\":\"~s\"}~n", [Address]),
    eof = until_eof(),
    halt(0);
run(["client", _]) ->
    Server = 'server@127.0.0.1',
    true = net_kernel:connect_node(Server),
    %% To the processes themselves: a name would be looked up for each message.
    [Sink, Echo] = [rpc:call(Server, erlang, whereis, [Name]) || Name <- [sink, echo]],
    %% When they are gone there is nothing to wait for.
    spawn_link(fun() ->
        Monitor = monitor(process, Sink),
        receive {'DOWN', Monitor, process, Sink, Reason} -> exit(Reason) end
    end),
    commands(Sink, Echo);
run(["local", _]) ->
    commands(sink(), none).

until_eof() ->
    case io:get_line("") of
        eof -> eof;
        _ -> until_eof()
    end.

%% Counts messages.
sink() ->
    spawn_opt(fun() -> sink(0) end, [link, {message_queue_data, off_heap}]).

sink(Count) ->
    receive
        {m, N, Text, #{k := [_, _, _]}} when is_integer(N), is_binary(Text) -> sink(Count + 1);
        {count, From} ->
            From ! {counted, Count},
            sink(Count)
    end.

echo() ->
    receive
        {e, From, N} -> From ! {r, N};
        {c, From, Reference, N} -> From ! {Reference, N}
    end,
    echo().

commands(Sink, Echo) ->
    case io:get_line("") of
        eof ->
            halt(0);
        Line ->
            command(text("do", Line), Line, Sink, Echo),
            commands(Sink, Echo)
    end.

command("connected", _, _, _) ->
    io:format("{\"connected\":true}~n");
command("oneway", Line, Sink, _) ->
    {Count, Text} = {number("count", Line, none), message(Line)},
    Before = counted(Sink),
    Start = now_ns(),
    send(Sink, 0, Count, Text),
    After = counted(Sink),
    answer(Count, now_ns() - Start, After - Before);
command("local", Line, Sink, _) ->
    {Count, Text} = {number("count", Line, none), message(Line)},
    Before = counted(Sink),
    Start = now_ns(),
    send_ahead(Sink, 0, Count, Text, 0),
    After = counted(Sink),
    answer(Count, now_ns() - Start, After - Before);
command("roundtrip", Line, _, Echo) ->
    Count = number("count", Line, none),
    Start = now_ns(),
    Times = round_trips(Echo, 0, Count, []),
    Elapsed = now_ns() - Start,
    Median = lists:nth((Count + 1) div 2, lists:sort(Times)) / 1000,
    Form = "{\"count\":~b,\"seconds\":~.9f,\"median_us\":~.3f}~n",
    io:format(Form, [Count, Elapsed / 1.0e9, Median]);
command("cal", Line, _, Echo) ->
    {Count, Callers} = {number("count", Line, none), number("callers", Line, 1)},
    Start = now_ns(),
    All = [spawn_monitor(fun() -> calls(Echo, 0, share(Caller, Count, Callers)) end)
           || Caller <- lists:seq(0, Callers - 1)],
    [receive {'DOWN', Monitor, process, Pid, normal} -> ok end || {Pid, Monitor} <- All],
    answer(Count, now_ns() - Start, Count).

send(Sink, N, Count, Text) when N < Count ->
    Sink ! {m, N, Text, #{k => [1, 2, 3]}},
    send(Sink, N + 1, Count, Text);
send(_, _, _, _) ->
    ok.

%% A process sends to another one of its node without any bound: so the number of messages is asked
%% for now and then, and the answers are waited for.
send_ahead(Sink, N, Count, Text, Awaited) when N < Count ->
    Sink ! {m, N, Text, #{k => [1, 2, 3]}},
    case (N + 1) rem ?EACH of
        0 ->
            Sink ! {count, self()},
            send_ahead(Sink, N + 1, Count, Text, await(Awaited + 1, ?AHEAD));
        _ ->
            send_ahead(Sink, N + 1, Count, Text, Awaited)
    end;
send_ahead(_, _, _, _, Awaited) ->
    await(Awaited, 0).

await(Awaited, Most) when Awaited > Most ->
    receive {counted, _} -> await(Awaited - 1, Most) end;
await(Awaited, _) ->
    Awaited.

counted(Sink) ->
    Sink ! {count, self()},
    receive {counted, Count} -> Count end.

round_trips(Echo, N, Count, Times) when N < Count ->
    Start = now_ns(),
    Echo ! {e, self(), N},
    receive {r, N} -> ok end,
    round_trips(Echo, N + 1, Count, [now_ns() - Start | Times]);
round_trips(_, _, _, Times) ->
    Times.

%% As gen_server:call does it, but without a monitor for each call.
calls(Echo, N, Count) when N < Count ->
    Reference = make_ref(),
    Echo ! {c, self(), Reference, N},
    receive {Reference, N} -> ok end,
    calls(Echo, N + 1, Count);
calls(_, _, _) ->
    ok.

share(Caller, Count, Callers) when Caller < Count rem Callers -> Count div Callers + 1;
share(_, Count, Callers) -> Count div Callers.

answer(Count, Elapsed, Count) ->
    io:format("{\"count\":~b,\"seconds\":~.9f}~n", [Count, Elapsed / 1.0e9]);
answer(Count, _, Arrived) ->
    io:format("{\"error\":\"of ~b messages ~b arrived\"}~n", [Count, Arrived]).

now_ns() ->
    erlang:monotonic_time(nanosecond).

%% The text of a message: the usual one, or so many octets.
message(Line) ->
    case number("size", Line, 0) of
        0 -> <<"hello world">>;
        Size -> binary:copy(<<"x">>, Size)
    end.

text(Name, Line) ->
    {match, [Text]} = re:run(Line, ["\"", Name, "\":\"(\\w+)\""], [{capture, all_but_first, list}]),
    Text.

number(Name, Line, Default) ->
    case re:run(Line, ["\"", Name, "\":(\\d+)"], [{capture, all_but_first, list}]) of
        {match, [Digits]} -> list_to_integer(Digits);
        nomatch when is_integer(Default) -> Default
    end.
