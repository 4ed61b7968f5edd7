# fish completion for iwx-node, generated from its grammar

function __iwx_node_paths
    printf '%s\n' 'add' 'token' 'token list' 'token revoke' 'list' 'show' 'status' 'drain' 'undrain' 'edit' 'delete'
end

function __iwx_node_takes
    printf '%s\n' ' --root' 'add --ttl' 'add --address' 'add --from' 'add --root' 'token --root' 'token list --columns' 'token list -o' 'token list --root' 'token revoke --root' 'list --columns' 'list -o' 'list --root' 'show --columns' 'show -o' 'show --root' 'status --columns' 'status -o' 'status --root' 'drain --timeout' 'drain --root' 'undrain --root' 'edit --address' 'edit --timeout' 'edit --root' 'delete --timeout' 'delete --root'
end

# Prints the verb of the command line, and the index of each argument after it.
function __iwx_node_parse
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
            contains -- "$path $word" (__iwx_node_takes); and set skip 1
        else if test -z "$found"; and contains -- (string trim -- "$path $word") (__iwx_node_paths)
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
function __iwx_node_at
    set -l parsed (__iwx_node_parse)
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
function __iwx_node_values
    set -l words (commandline -opc)
    set -l tool (string replace -r '^~' $HOME -- $words[1])
    $tool __complete $argv[1] 2>/dev/null
end

# The command that is an argument is completed as if it stood alone.
function __iwx_node_command
    set -l words (commandline -opc)
    set -l parsed (__iwx_node_parse)
    set -l line
    if set -q parsed[2]
        set line (string escape -- $words[$parsed[2]..-1])
    end
    complete --do-complete=(string join ' ' -- $line (commandline -ct))
end

complete -c iwx-node -e
complete -c iwx-node -f

complete -c iwx-node -n '__iwx_node_at \'\' 0' -a 'add' -d 'Invite a server to join: print a token'
complete -c iwx-node -n '__iwx_node_at \'\' 0' -a 'token' -d 'The tokens that servers join with'
complete -c iwx-node -n '__iwx_node_at \'\' 0' -a 'list' -d 'List the nodes'
complete -c iwx-node -n '__iwx_node_at \'\' 0' -a 'show' -d 'Show everything about a node'
complete -c iwx-node -n '__iwx_node_at \'\' 0' -a 'status' -d 'Show the state of the nodes'
complete -c iwx-node -n '__iwx_node_at \'\' 0' -a 'drain' -d 'Give a node no new connections'
complete -c iwx-node -n '__iwx_node_at \'\' 0' -a 'undrain' -d 'Give it new connections again'
complete -c iwx-node -n '__iwx_node_at \'\' 0' -a 'edit' -d 'Give a node another address'
complete -c iwx-node -n '__iwx_node_at \'\' 0' -a 'delete' -d 'Take a node out of the cluster'
complete -c iwx-node -n '__iwx_node_at \'\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-node -n '__iwx_node_at \'\'' -l version -d 'Print the version'
complete -c iwx-node -n '__iwx_node_at \'\'' -l help -s h -d 'Print this help'

complete -c iwx-node -n '__iwx_node_at \'add\'' -l ttl -x -d 'How long the token can be used'
complete -c iwx-node -n '__iwx_node_at \'add\'' -l address -x -d 'The token is good from this address only'
complete -c iwx-node -n '__iwx_node_at \'add\'' -l from -x -a 'now beginning' -d 'Where the node starts in the queue: now or beginning'
complete -c iwx-node -n '__iwx_node_at \'add\'' -l rejoin -d 'The name is a member\'s: the server takes its place'
complete -c iwx-node -n '__iwx_node_at \'add\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-node -n '__iwx_node_at \'add\'' -l version -d 'Print the version'
complete -c iwx-node -n '__iwx_node_at \'add\'' -l help -s h -d 'Print this help'

complete -c iwx-node -n '__iwx_node_at \'token\' 0' -a 'list' -d 'List the tokens'
complete -c iwx-node -n '__iwx_node_at \'token\' 0' -a 'revoke' -d 'Make a token void'
complete -c iwx-node -n '__iwx_node_at \'token\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-node -n '__iwx_node_at \'token\'' -l version -d 'Print the version'
complete -c iwx-node -n '__iwx_node_at \'token\'' -l help -s h -d 'Print this help'

complete -c iwx-node -n '__iwx_node_at \'token list\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-node -n '__iwx_node_at \'token list\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-node -n '__iwx_node_at \'token list\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-node -n '__iwx_node_at \'token list\'' -l json -d 'Print JSON'
complete -c iwx-node -n '__iwx_node_at \'token list\'' -l open -d 'Only those that can still be used'
complete -c iwx-node -n '__iwx_node_at \'token list\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-node -n '__iwx_node_at \'token list\'' -l version -d 'Print the version'
complete -c iwx-node -n '__iwx_node_at \'token list\'' -l help -s h -d 'Print this help'

complete -c iwx-node -n '__iwx_node_at \'token revoke\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-node -n '__iwx_node_at \'token revoke\'' -l version -d 'Print the version'
complete -c iwx-node -n '__iwx_node_at \'token revoke\'' -l help -s h -d 'Print this help'
complete -c iwx-node -n '__iwx_node_at \'token revoke\' 0' -a '(__iwx_node_values token)'

complete -c iwx-node -n '__iwx_node_at \'list\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-node -n '__iwx_node_at \'list\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-node -n '__iwx_node_at \'list\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-node -n '__iwx_node_at \'list\'' -l json -d 'Print JSON'
complete -c iwx-node -n '__iwx_node_at \'list\'' -l all -d 'Those that left or were deleted, too'
complete -c iwx-node -n '__iwx_node_at \'list\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-node -n '__iwx_node_at \'list\'' -l version -d 'Print the version'
complete -c iwx-node -n '__iwx_node_at \'list\'' -l help -s h -d 'Print this help'

complete -c iwx-node -n '__iwx_node_at \'show\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-node -n '__iwx_node_at \'show\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-node -n '__iwx_node_at \'show\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-node -n '__iwx_node_at \'show\'' -l json -d 'Print JSON'
complete -c iwx-node -n '__iwx_node_at \'show\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-node -n '__iwx_node_at \'show\'' -l version -d 'Print the version'
complete -c iwx-node -n '__iwx_node_at \'show\'' -l help -s h -d 'Print this help'
complete -c iwx-node -n '__iwx_node_at \'show\' 0' -a '(__iwx_node_values node)'

complete -c iwx-node -n '__iwx_node_at \'status\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-node -n '__iwx_node_at \'status\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-node -n '__iwx_node_at \'status\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-node -n '__iwx_node_at \'status\'' -l json -d 'Print JSON'
complete -c iwx-node -n '__iwx_node_at \'status\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-node -n '__iwx_node_at \'status\'' -l version -d 'Print the version'
complete -c iwx-node -n '__iwx_node_at \'status\'' -l help -s h -d 'Print this help'
complete -c iwx-node -n '__iwx_node_at \'status\' 0+' -a '(__iwx_node_values node)'

complete -c iwx-node -n '__iwx_node_at \'drain\'' -l wait -d 'Wait until no connection is left'
complete -c iwx-node -n '__iwx_node_at \'drain\'' -l timeout -x -d 'Wait no longer than this; it stays drained. Implies --wait'
complete -c iwx-node -n '__iwx_node_at \'drain\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-node -n '__iwx_node_at \'drain\'' -l version -d 'Print the version'
complete -c iwx-node -n '__iwx_node_at \'drain\'' -l help -s h -d 'Print this help'
complete -c iwx-node -n '__iwx_node_at \'drain\' 0' -a '(__iwx_node_values node)'

complete -c iwx-node -n '__iwx_node_at \'undrain\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-node -n '__iwx_node_at \'undrain\'' -l version -d 'Print the version'
complete -c iwx-node -n '__iwx_node_at \'undrain\'' -l help -s h -d 'Print this help'
complete -c iwx-node -n '__iwx_node_at \'undrain\' 0' -a '(__iwx_node_values node)'

complete -c iwx-node -n '__iwx_node_at \'edit\'' -l address -x -d 'The node\'s new address'
complete -c iwx-node -n '__iwx_node_at \'edit\'' -l dry-run -d 'Print what would change, and do nothing'
complete -c iwx-node -n '__iwx_node_at \'edit\'' -l wait -d 'Wait until the node has moved'
complete -c iwx-node -n '__iwx_node_at \'edit\'' -l timeout -x -d 'Wait no longer than this; the move goes on. Implies --wait'
complete -c iwx-node -n '__iwx_node_at \'edit\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-node -n '__iwx_node_at \'edit\'' -l version -d 'Print the version'
complete -c iwx-node -n '__iwx_node_at \'edit\'' -l help -s h -d 'Print this help'
complete -c iwx-node -n '__iwx_node_at \'edit\' 0' -a '(__iwx_node_values node)'

complete -c iwx-node -n '__iwx_node_at \'delete\'' -l yes -s y -d 'Do not ask'
complete -c iwx-node -n '__iwx_node_at \'delete\'' -l force -d 'Delete it at once, without notifying it'
complete -c iwx-node -n '__iwx_node_at \'delete\'' -l timeout -x -d 'Wait no longer than this; the node goes on leaving'
complete -c iwx-node -n '__iwx_node_at \'delete\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-node -n '__iwx_node_at \'delete\'' -l version -d 'Print the version'
complete -c iwx-node -n '__iwx_node_at \'delete\'' -l help -s h -d 'Print this help'
complete -c iwx-node -n '__iwx_node_at \'delete\' 0' -a '(__iwx_node_values node)'
