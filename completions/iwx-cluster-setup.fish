# fish completion for iwx-cluster-setup, generated from its grammar

function __iwx_cluster_setup_paths
    printf '%s\n' 'manager' 'node' 'preflight' 'status' 'profile' 'quorum-ip' 'renew' 'backup' 'restore' 'reset'
end

function __iwx_cluster_setup_takes
    printf '%s\n' ' --root' 'manager --quorum-ip' 'manager --name' 'manager --address' 'manager --ignore' 'manager --root' 'node --address' 'node --ignore' 'node --root' 'preflight --columns' 'preflight -o' 'preflight --role' 'preflight --quorum-ip' 'preflight --manager' 'preflight --address' 'preflight --root' 'status --columns' 'status -o' 'status --root' 'profile --root' 'quorum-ip --port' 'quorum-ip --timeout' 'quorum-ip --root' 'renew --root' 'backup --root' 'restore --key' 'restore --address' 'restore --ignore' 'restore --root' 'reset --root'
end

# Prints the verb of the command line, and the index of each argument after it.
function __iwx_cluster_setup_parse
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
            contains -- "$path $word" (__iwx_cluster_setup_takes); and set skip 1
        else if test -z "$found"; and contains -- (string trim -- "$path $word") (__iwx_cluster_setup_paths)
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
function __iwx_cluster_setup_at
    set -l parsed (__iwx_cluster_setup_parse)
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
function __iwx_cluster_setup_values
    set -l words (commandline -opc)
    set -l tool (string replace -r '^~' $HOME -- $words[1])
    $tool __complete $argv[1] 2>/dev/null
end

# The command that is an argument is completed as if it stood alone.
function __iwx_cluster_setup_command
    set -l words (commandline -opc)
    set -l parsed (__iwx_cluster_setup_parse)
    set -l line
    if set -q parsed[2]
        set line (string escape -- $words[$parsed[2]..-1])
    end
    complete --do-complete=(string join ' ' -- $line (commandline -ct))
end

complete -c iwx-cluster-setup -e
complete -c iwx-cluster-setup -f

complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'\' 0' -a 'manager' -d 'Make this server the manager of a new cluster'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'\' 0' -a 'node' -d 'Make this server a node, with a token from the manager'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'\' 0' -a 'preflight' -d 'Check whether this server meets the requirements'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'\' 0' -a 'status' -d 'Report the setup of this server, and its problems'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'\' 0' -a 'profile' -d 'Converge this server to its profile now'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'\' 0' -a 'quorum-ip' -d 'Move the cluster to another address of its manager'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'\' 0' -a 'renew' -d 'Renew the certificate of this server now'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'\' 0' -a 'backup' -d 'Write an encrypted backup of the manager to a file'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'\' 0' -a 'restore' -d 'Make this server the manager again, from a backup'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'\' 0' -a 'reset' -d 'Undo the setup of this server'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'\'' -l version -d 'Print the version'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'\'' -l help -s h -d 'Print this help'

complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'manager\'' -l quorum-ip -x -a '(__iwx_cluster_setup_values address)' -d 'Address of this server that the nodes reach it by'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'manager\'' -l name -x -d 'Name of the cluster; without it, the host name'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'manager\'' -l address -x -a '(__iwx_cluster_setup_values address)' -d 'With --root: the server\'s own address, beside the quorum IP'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'manager\'' -l ignore -x -a '(__iwx_cluster_setup_values check)' -d 'Go on although this check fails'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'manager\'' -l dry-run -d 'Make the checks, print what would be done, and do nothing'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'manager\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'manager\'' -l version -d 'Print the version'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'manager\'' -l help -s h -d 'Print this help'

complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'node\'' -l address -x -a '(__iwx_cluster_setup_values address)' -d 'With --root: the server\'s own address'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'node\'' -l ignore -x -a '(__iwx_cluster_setup_values check)' -d 'Go on although this check fails, here or on the manager'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'node\'' -l dry-run -d 'Make the checks, print what would be done, and do nothing'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'node\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'node\'' -l version -d 'Print the version'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'node\'' -l help -s h -d 'Print this help'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'node\' 0' -F

complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'preflight\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'preflight\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'preflight\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'preflight\'' -l json -d 'Print JSON'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'preflight\'' -l role -x -d 'The server\'s future role: manager or node. Without it, its present role; else a node, or with --quorum-ip a manager'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'preflight\'' -l quorum-ip -x -a '(__iwx_cluster_setup_values address)' -d 'Manager: the address at which nodes connect to it'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'preflight\'' -l manager -x -d 'Node: ask the manager at this address too, with its port if it is not the default'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'preflight\'' -l address -x -a '(__iwx_cluster_setup_values address)' -d 'With --root: the server\'s own address'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'preflight\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'preflight\'' -l version -d 'Print the version'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'preflight\'' -l help -s h -d 'Print this help'

complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'status\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'status\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'status\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'status\'' -l json -d 'Print JSON'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'status\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'status\'' -l version -d 'Print the version'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'status\'' -l help -s h -d 'Print this help'

complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'profile\'' -l dry-run -d 'Print what would change, and do nothing'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'profile\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'profile\'' -l version -d 'Print the version'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'profile\'' -l help -s h -d 'Print this help'

complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'quorum-ip\'' -l port -x -d 'Port of the API there; without it, the one it has'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'quorum-ip\'' -l drop-old -d 'Manager: answer at the old address no longer, whoever does not know the new one'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'quorum-ip\'' -l timeout -x -d 'Manager: wait no longer than this for the nodes; the move goes on'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'quorum-ip\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'quorum-ip\'' -l version -d 'Print the version'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'quorum-ip\'' -l help -s h -d 'Print this help'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'quorum-ip\' 0' -a '(__iwx_cluster_setup_values address)'

complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'renew\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'renew\'' -l version -d 'Print the version'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'renew\'' -l help -s h -d 'Print this help'

complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'backup\'' -l force -d 'Replace the file if it is there'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'backup\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'backup\'' -l version -d 'Print the version'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'backup\'' -l help -s h -d 'Print this help'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'backup\' 0' -F

complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'restore\'' -l yes -s y -d 'Do not ask'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'restore\'' -l key -r -F -d 'File that holds the recovery key; - for standard input. Without it, the key is asked for'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'restore\'' -l address -x -a '(__iwx_cluster_setup_values address)' -d 'With --root: the server\'s own address, beside the quorum IP'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'restore\'' -l ignore -x -a '(__iwx_cluster_setup_values check)' -d 'Go on although this check fails'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'restore\'' -l force -d 'Also on a server that is this cluster\'s manager: entries queued since the backup are given up'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'restore\'' -l dry-run -d 'Verify the backup, make the checks, print what would be done, and do nothing'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'restore\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'restore\'' -l version -d 'Print the version'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'restore\'' -l help -s h -d 'Print this help'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'restore\' 0' -F

complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'reset\'' -l yes -s y -d 'Do not ask'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'reset\'' -l local -d 'Node: do not notify the manager, for a copy of a server that is to stay a node'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'reset\'' -l force -d 'Also a manager that has nodes'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'reset\'' -l dry-run -d 'Print what would be undone, and do nothing'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'reset\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'reset\'' -l version -d 'Print the version'
complete -c iwx-cluster-setup -n '__iwx_cluster_setup_at \'reset\'' -l help -s h -d 'Print this help'
