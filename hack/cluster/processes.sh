# Processes that outlive the script which starts them. $STATE/run/NAME.pid holds a process id and when that process
# started, so that a number which went to another program ends nothing.

# The second in which a process started; fails where it ended, were it only as a zombie.
started() { # PID
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The name in parentheses may hold anything.
    stat=${stat##*) }
    [ "${stat%% *}" != Z ] || return 1
    cut -d ' ' -f 20 <<<"$stat"
}

remember() { # NAME PID
    echo "$2 $(started "$2")" >"$STATE/run/$1.pid"
}

# Prints its process id while it runs.
running_as() { # NAME
    local pid since
    read -r pid since 2>/dev/null <"$STATE/run/$1.pid" || return 1
    [ "$(started "$pid")" = "$since" ] && echo "$pid"
}

launch() { # NAME COMMAND…
    local name=$1
    shift
    setsid "$@" </dev/null >"$STATE/log/$name.log" 2>&1 &
    remember "$name" $!
}

# Asks it to end, waits for ten seconds, then ends it.
finish() { # NAME
    local pid
    if pid=$(running_as "$1"); then
        kill "$pid" 2>/dev/null || true
        wait_for 10 "$1 to end" ended "$1" || kill -9 "$pid" 2>/dev/null || true
    fi
    rm -f "$STATE/run/$1.pid"
}

ended() { ! running_as "$1" >/dev/null; }

wait_for() { # SECONDS WHAT COMMAND…
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ]; then
            say "Waited in vain for $what; see ${STATE:-}/log"
            return 1
        fi
        sleep 0.1
    done
}
