# fish completion for iwx-lb, generated from its grammar

function __iwx_lb_paths
    printf '%s\n' 'add' 'edit' 'delete' 'list' 'show' 'status' 'drain' 'undrain' 'probe' 'vip' 'vip add' 'vip delete' 'vip list' 'engine' 'preflight' 'start' 'stop' 'restart' 'diff' 'apply' 'daemon' 'external' 'export' 'endpoint'
end

function __iwx_lb_takes
    printf '%s\n' ' --root' 'add --vip' 'add --scheduler' 'add --persistence' 'add --forwarding' 'add --weight' 'add --only' 'add --fallback' 'add --server-port' 'add --proxy-protocol' 'add --check-level' 'add --check-host' 'add --check-path' 'add --check-status' 'add --interval' 'add --connect-timeout' 'add --timeout' 'add --fall' 'add --rise' 'add --slow-start' 'add --root' 'edit --vip' 'edit --scheduler' 'edit --persistence' 'edit --forwarding' 'edit --weight' 'edit --only' 'edit --fallback' 'edit --server-port' 'edit --proxy-protocol' 'edit --check-level' 'edit --check-host' 'edit --check-path' 'edit --check-status' 'edit --interval' 'edit --connect-timeout' 'edit --timeout' 'edit --fall' 'edit --rise' 'edit --slow-start' 'edit --root' 'delete --vip' 'delete --root' 'list --columns' 'list -o' 'list --root' 'show --columns' 'show -o' 'show --vip' 'show --root' 'status --columns' 'status -o' 'status --vip' 'status --root' 'drain --timeout' 'drain --root' 'undrain --root' 'probe --columns' 'probe -o' 'probe --root' 'vip --root' 'vip add --root' 'vip delete --root' 'vip list --columns' 'vip list -o' 'vip list --root' 'engine --columns' 'engine -o' 'engine --root' 'preflight --columns' 'preflight -o' 'preflight --root' 'start --root' 'stop --root' 'restart --root' 'diff --columns' 'diff -o' 'diff --root' 'apply --root' 'daemon --root' 'external --root' 'export --format' 'export --root' 'endpoint --root'
end

# Prints the verb of the command line, and the index of each argument after it.
function __iwx_lb_parse
    set -l words (commandline -opc)
    set -l path ''
    set -l found
    set -l skip 0
    set -l literal 0
    for i in (seq 2 (count $words))
        set -l word $words[$i]
        if test $skip = 1
            set skip 0
        else if test $literal = 0; and test "$word" = --
            set literal 1
        else if test $literal = 0; and string match -q -- '-?*' $word
            contains -- "$path $word" (__iwx_lb_takes); and set skip 1
        else if test -z "$found"; and contains -- (string trim -- "$path $word") (__iwx_lb_paths)
            set path (string trim -- "$path $word")
        else
            set -a found $i
        end
    end
    echo $path
    for i in $found
        echo $i
    end
end

# Is this the verb $argv[1], with $argv[2] arguments ("1", or "1+" for at least
# as many) before the cursor?
function __iwx_lb_at
    set -l parsed (__iwx_lb_parse)
    test "$parsed[1]" = "$argv[1]"; or return
    set -l n (math (count $parsed) - 1)
    switch "$argv[2]"
        case ''
            return 0
        case '*+'
            test $n -ge (string trim -c + -- $argv[2])
        case '*'
            test $n -eq $argv[2]
    end
end

# Offers the values of a kind, which the tool itself names.
function __iwx_lb_values
    set -l words (commandline -opc)
    set -l tool (string replace -r '^~' $HOME -- $words[1])
    $tool __complete $argv[1] 2>/dev/null
end

# The command that is an argument is completed as if it stood alone.
function __iwx_lb_command
    set -l words (commandline -opc)
    set -l parsed (__iwx_lb_parse)
    set -l line
    if set -q parsed[2]
        set line (string escape -- $words[$parsed[2]..-1])
    end
    complete --do-complete=(string join ' ' -- $line (commandline -ct))
end

complete -c iwx-lb -e
complete -c iwx-lb -f

complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'add' -d 'Balance a service'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'edit' -d 'Change how a service is balanced'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'delete' -d 'Balance a service no longer'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'list' -d 'List the policies'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'show' -d 'Show everything about a policy'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'status' -d 'Show the state of balancing'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'drain' -d 'Give a server no new connections'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'undrain' -d 'Give it new connections again'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'probe' -d 'Look at the services once, and change nothing'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'vip' -d 'The virtual IPs at which clients ask'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'engine' -d 'Show the engine, or change it'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'preflight' -d 'Check whether services can be balanced here'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'start' -d 'Balance, now and after every boot'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'stop' -d 'Have the manager answer alone'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'restart' -d 'Start the daemon anew'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'diff' -d 'List where the engine differs from the configuration'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'apply' -d 'Apply the configuration to the engine'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'daemon' -d 'Check the servers and configure the engine accordingly; for systemd'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'external' -d 'Leave balancing to an external balancer, or take it back'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'export' -d 'Write the configuration of an external balancer'
complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'endpoint' -d 'Report the services of this server to an external balancer; for systemd'
complete -c iwx-lb -n '__iwx_lb_at \'\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'\'' -l help -s h -d 'Print this help'

complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l vip -x -a '(__iwx_lb_values vip)' -d 'The virtual IP; without it, the only one of each family'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l scheduler -x -a '(__iwx_lb_values scheduler)' -d 'Rule by which the next connection\'s server is chosen: wlc, rr, wrr, lc, lblc, sh, ..'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l persistence -x -d 'A client comes back to its server for so long; 0 is never'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l forwarding -x -a '(__iwx_lb_values forwarding)' -d 'How a connection gets to its server: dr, nat, tun or proxy'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l weight -x -d 'A server\'s weight, 0 to 255; 0 takes no new connection'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l only -x -a '(__iwx_lb_values node)' -d 'Only these servers; all is every server again'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l fallback -x -a '(__iwx_lb_values fallback)' -d 'Who answers when no server is left: manager, all or reject'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l server-port -x -d 'The servers\' port, where it is another'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l proxy-protocol -x -a '(__iwx_lb_values switch)' -d 'Pass the client\'s address to the servers, by the PROXY protocol: on or off'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l check-level -x -a '(__iwx_lb_values level)' -d 'What a check asks for: connect, protocol or certificate'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l check-host -x -d 'The host name that a check asks for'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l check-path -x -d 'The path that a check of HTTP asks for'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l check-status -x -d 'The statuses of HTTP that are good, such as 200,301-302'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l interval -x -d 'Between the checks of a server'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l connect-timeout -x -d 'Of a check, for the connection'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l timeout -x -d 'Of a check, for each answer'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l fall -x -d 'So many failures in a row take a server out'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l rise -x -d 'So many answers in a row bring it back'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l slow-start -x -d 'How long a server that came back takes to its whole weight; 0 is at once'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'add\'' -l help -s h -d 'Print this help'
complete -c iwx-lb -n '__iwx_lb_at \'add\' 0+' -a '(__iwx_lb_values service)'

complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l vip -x -a '(__iwx_lb_values vip)' -d 'The virtual IP; without it, the only one of each family'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l scheduler -x -a '(__iwx_lb_values scheduler)' -d 'Rule by which the next connection\'s server is chosen: wlc, rr, wrr, lc, lblc, sh, ..'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l persistence -x -d 'A client comes back to its server for so long; 0 is never'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l forwarding -x -a '(__iwx_lb_values forwarding)' -d 'How a connection gets to its server: dr, nat, tun or proxy'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l weight -x -d 'A server\'s weight, 0 to 255; 0 takes no new connection'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l only -x -a '(__iwx_lb_values node)' -d 'Only these servers; all is every server again'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l fallback -x -a '(__iwx_lb_values fallback)' -d 'Who answers when no server is left: manager, all or reject'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l server-port -x -d 'The servers\' port, where it is another'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l proxy-protocol -x -a '(__iwx_lb_values switch)' -d 'Pass the client\'s address to the servers, by the PROXY protocol: on or off'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l check-level -x -a '(__iwx_lb_values level)' -d 'What a check asks for: connect, protocol or certificate'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l check-host -x -d 'The host name that a check asks for'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l check-path -x -d 'The path that a check of HTTP asks for'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l check-status -x -d 'The statuses of HTTP that are good, such as 200,301-302'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l interval -x -d 'Between the checks of a server'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l connect-timeout -x -d 'Of a check, for the connection'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l timeout -x -d 'Of a check, for each answer'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l fall -x -d 'So many failures in a row take a server out'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l rise -x -d 'So many answers in a row bring it back'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l slow-start -x -d 'How long a server that came back takes to its whole weight; 0 is at once'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'edit\'' -l help -s h -d 'Print this help'
complete -c iwx-lb -n '__iwx_lb_at \'edit\' 0+' -a '(__iwx_lb_values policy)'

complete -c iwx-lb -n '__iwx_lb_at \'delete\'' -l yes -s y -d 'Do not ask'
complete -c iwx-lb -n '__iwx_lb_at \'delete\'' -l vip -x -a '(__iwx_lb_values vip)' -d 'The virtual IP; without it, the only one of each family'
complete -c iwx-lb -n '__iwx_lb_at \'delete\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'delete\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'delete\'' -l help -s h -d 'Print this help'
complete -c iwx-lb -n '__iwx_lb_at \'delete\' 0+' -a '(__iwx_lb_values policy)'

complete -c iwx-lb -n '__iwx_lb_at \'list\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-lb -n '__iwx_lb_at \'list\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-lb -n '__iwx_lb_at \'list\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-lb -n '__iwx_lb_at \'list\'' -l json -d 'Print JSON'
complete -c iwx-lb -n '__iwx_lb_at \'list\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'list\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'list\'' -l help -s h -d 'Print this help'

complete -c iwx-lb -n '__iwx_lb_at \'show\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-lb -n '__iwx_lb_at \'show\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-lb -n '__iwx_lb_at \'show\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-lb -n '__iwx_lb_at \'show\'' -l json -d 'Print JSON'
complete -c iwx-lb -n '__iwx_lb_at \'show\'' -l vip -x -a '(__iwx_lb_values vip)' -d 'The virtual IP; without it, the only one of each family'
complete -c iwx-lb -n '__iwx_lb_at \'show\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'show\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'show\'' -l help -s h -d 'Print this help'
complete -c iwx-lb -n '__iwx_lb_at \'show\' 0' -a '(__iwx_lb_values policy)'

complete -c iwx-lb -n '__iwx_lb_at \'status\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-lb -n '__iwx_lb_at \'status\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-lb -n '__iwx_lb_at \'status\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-lb -n '__iwx_lb_at \'status\'' -l json -d 'Print JSON'
complete -c iwx-lb -n '__iwx_lb_at \'status\'' -l vip -x -a '(__iwx_lb_values vip)' -d 'Only this virtual IP'
complete -c iwx-lb -n '__iwx_lb_at \'status\'' -l watch -d 'Show it anew every second, until interrupted'
complete -c iwx-lb -n '__iwx_lb_at \'status\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'status\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'status\'' -l help -s h -d 'Print this help'
complete -c iwx-lb -n '__iwx_lb_at \'status\' 0+' -a '(__iwx_lb_values policy)'

complete -c iwx-lb -n '__iwx_lb_at \'drain\'' -l wait -d 'Wait until no connection is left'
complete -c iwx-lb -n '__iwx_lb_at \'drain\'' -l timeout -x -d 'Wait no longer than this; it stays drained. Implies --wait'
complete -c iwx-lb -n '__iwx_lb_at \'drain\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'drain\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'drain\'' -l help -s h -d 'Print this help'
complete -c iwx-lb -n '__iwx_lb_at \'drain\' 0' -a '(__iwx_lb_values node)'
complete -c iwx-lb -n '__iwx_lb_at \'drain\' 1+' -a '(__iwx_lb_values policy)'

complete -c iwx-lb -n '__iwx_lb_at \'undrain\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'undrain\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'undrain\'' -l help -s h -d 'Print this help'
complete -c iwx-lb -n '__iwx_lb_at \'undrain\' 0' -a '(__iwx_lb_values node)'
complete -c iwx-lb -n '__iwx_lb_at \'undrain\' 1+' -a '(__iwx_lb_values policy)'

complete -c iwx-lb -n '__iwx_lb_at \'probe\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-lb -n '__iwx_lb_at \'probe\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-lb -n '__iwx_lb_at \'probe\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-lb -n '__iwx_lb_at \'probe\'' -l json -d 'Print JSON'
complete -c iwx-lb -n '__iwx_lb_at \'probe\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'probe\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'probe\'' -l help -s h -d 'Print this help'
complete -c iwx-lb -n '__iwx_lb_at \'probe\' 0+' -a '(__iwx_lb_values probe)'

complete -c iwx-lb -n '__iwx_lb_at \'vip\' 0' -a 'add' -d 'Have the manager hold a virtual IP'
complete -c iwx-lb -n '__iwx_lb_at \'vip\' 0' -a 'delete' -d 'Give a virtual IP up'
complete -c iwx-lb -n '__iwx_lb_at \'vip\' 0' -a 'list' -d 'List the virtual IPs'
complete -c iwx-lb -n '__iwx_lb_at \'vip\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'vip\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'vip\'' -l help -s h -d 'Print this help'

complete -c iwx-lb -n '__iwx_lb_at \'vip add\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'vip add\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'vip add\'' -l help -s h -d 'Print this help'

complete -c iwx-lb -n '__iwx_lb_at \'vip delete\'' -l yes -s y -d 'Do not ask'
complete -c iwx-lb -n '__iwx_lb_at \'vip delete\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'vip delete\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'vip delete\'' -l help -s h -d 'Print this help'
complete -c iwx-lb -n '__iwx_lb_at \'vip delete\' 0' -a '(__iwx_lb_values vip)'

complete -c iwx-lb -n '__iwx_lb_at \'vip list\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-lb -n '__iwx_lb_at \'vip list\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-lb -n '__iwx_lb_at \'vip list\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-lb -n '__iwx_lb_at \'vip list\'' -l json -d 'Print JSON'
complete -c iwx-lb -n '__iwx_lb_at \'vip list\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'vip list\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'vip list\'' -l help -s h -d 'Print this help'

complete -c iwx-lb -n '__iwx_lb_at \'engine\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-lb -n '__iwx_lb_at \'engine\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-lb -n '__iwx_lb_at \'engine\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-lb -n '__iwx_lb_at \'engine\'' -l json -d 'Print JSON'
complete -c iwx-lb -n '__iwx_lb_at \'engine\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'engine\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'engine\'' -l help -s h -d 'Print this help'
complete -c iwx-lb -n '__iwx_lb_at \'engine\' 0' -a '(__iwx_lb_values engine)'

complete -c iwx-lb -n '__iwx_lb_at \'preflight\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-lb -n '__iwx_lb_at \'preflight\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-lb -n '__iwx_lb_at \'preflight\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-lb -n '__iwx_lb_at \'preflight\'' -l json -d 'Print JSON'
complete -c iwx-lb -n '__iwx_lb_at \'preflight\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'preflight\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'preflight\'' -l help -s h -d 'Print this help'

complete -c iwx-lb -n '__iwx_lb_at \'start\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'start\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'start\'' -l help -s h -d 'Print this help'

complete -c iwx-lb -n '__iwx_lb_at \'stop\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'stop\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'stop\'' -l help -s h -d 'Print this help'

complete -c iwx-lb -n '__iwx_lb_at \'restart\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'restart\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'restart\'' -l help -s h -d 'Print this help'

complete -c iwx-lb -n '__iwx_lb_at \'diff\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-lb -n '__iwx_lb_at \'diff\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-lb -n '__iwx_lb_at \'diff\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-lb -n '__iwx_lb_at \'diff\'' -l json -d 'Print JSON'
complete -c iwx-lb -n '__iwx_lb_at \'diff\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'diff\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'diff\'' -l help -s h -d 'Print this help'

complete -c iwx-lb -n '__iwx_lb_at \'apply\'' -l dry-run -d 'Print what would be done, and do nothing'
complete -c iwx-lb -n '__iwx_lb_at \'apply\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'apply\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'apply\'' -l help -s h -d 'Print this help'

complete -c iwx-lb -n '__iwx_lb_at \'daemon\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'daemon\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'daemon\'' -l help -s h -d 'Print this help'

complete -c iwx-lb -n '__iwx_lb_at \'external\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'external\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'external\'' -l help -s h -d 'Print this help'
complete -c iwx-lb -n '__iwx_lb_at \'external\' 0' -a 'on off'

complete -c iwx-lb -n '__iwx_lb_at \'export\'' -l format -x -a 'haproxy keepalived nginx json' -d 'For which program: haproxy, keepalived, nginx, or json for others'
complete -c iwx-lb -n '__iwx_lb_at \'export\'' -l endpoint -d 'Have it ask the health endpoints of the servers instead of their services'
complete -c iwx-lb -n '__iwx_lb_at \'export\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'export\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'export\'' -l help -s h -d 'Print this help'

complete -c iwx-lb -n '__iwx_lb_at \'endpoint\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'endpoint\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'endpoint\'' -l help -s h -d 'Print this help'
