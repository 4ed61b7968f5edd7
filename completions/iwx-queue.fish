# fish completion for iwx-queue, generated from its grammar

function __iwx_queue_paths
    printf '%s\n' 'run' 'add' 'push' 'list' 'show' 'status' 'history' 'retry' 'skip' 'done' 'pause' 'resume' 'release' 'cancel' 'wait' 'log' 'recover' 'accept'
end

function __iwx_queue_takes
    printf '%s\n' ' --root' 'run --node' 'run -n' 'run --rolling' 'run --stdin' 'run --timeout' 'run --env' 'run --cwd' 'run --wait-timeout' 'run --root' 'add --node' 'add -n' 'add --rolling' 'add --stdin' 'add --timeout' 'add --env' 'add --cwd' 'add --user' 'add --umask' 'add --wait-timeout' 'add --root' 'push --node' 'push -n' 'push --rolling' 'push --mode' 'push --owner' 'push --check' 'push --reload' 'push --timeout' 'push --wait-timeout' 'push --root' 'list --limit' 'list --node' 'list -n' 'list --columns' 'list -o' 'list --root' 'show --columns' 'show -o' 'show --root' 'status --columns' 'status -o' 'status --root' 'history --node' 'history -n' 'history --entry' 'history -e' 'history --since' 'history --limit' 'history --columns' 'history -o' 'history --root' 'retry --wait-timeout' 'retry --root' 'skip --reason' 'skip --root' 'done --reason' 'done --root' 'pause --root' 'resume --root' 'release --wait-timeout' 'release --root' 'cancel --reason' 'cancel --root' 'wait --timeout' 'wait --root' 'log --number' 'log -n' 'log --columns' 'log -o' 'log --root' 'recover --root' 'accept --root'
end

# Prints the verb of the command line, and the index of each argument after it.
function __iwx_queue_parse
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
            contains -- "$path $word" (__iwx_queue_takes); and set skip 1
        else if test -z "$found"; and contains -- (string trim -- "$path $word") (__iwx_queue_paths)
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
function __iwx_queue_at
    set -l parsed (__iwx_queue_parse)
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
function __iwx_queue_values
    set -l words (commandline -opc)
    set -l tool (string replace -r '^~' $HOME -- $words[1])
    $tool __complete $argv[1] 2>/dev/null
end

# The command that is an argument is completed as if it stood alone.
function __iwx_queue_command
    set -l words (commandline -opc)
    set -l parsed (__iwx_queue_parse)
    set -l line
    if set -q parsed[2]
        set line (string escape -- $words[$parsed[2]..-1])
    end
    complete --do-complete=(string join ' ' -- $line (commandline -ct))
end

complete -c iwx-queue -e
complete -c iwx-queue -f

complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'run' -d 'Run a command here, and on success cascade it to the nodes'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'add' -d 'Queue a command for the nodes'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'push' -d 'Queue files for the nodes, with their owner and mode'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'list' -d 'List the entries of the queue'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'show' -d 'Show everything about an entry'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'status' -d 'Show the state of the nodes\' queues'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'history' -d 'List the attempts, the newest first'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'retry' -d 'Try a halted entry again at once'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'skip' -d 'Let a node pass an entry by'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'done' -d 'Record that an entry has taken effect on a node'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'pause' -d 'Hold the queues of nodes still'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'resume' -d 'Let paused queues go on'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'release' -d 'Cascade a held command to the nodes'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'cancel' -d 'Withdraw an entry from the nodes that have not done it'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'wait' -d 'Wait until the nodes have done an entry'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'log' -d 'Print the records of the log'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'recover' -d 'After a restore: take back lost entries from the nodes'
complete -c iwx-queue -n '__iwx_queue_at \'\' 0' -a 'accept' -d 'After a restore: give up lost entries of nodes'
complete -c iwx-queue -n '__iwx_queue_at \'\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'\'' -l help -s h -d 'Print this help'

complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l node -s n -x -a '(__iwx_queue_values node)' -d 'Only this node. May be repeated'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l baseline -d 'Also for the nodes that join later'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l rolling -x -d 'On so many nodes at a time, in the order of their names; a failure stops it'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l stdin -r -F -d 'Standard input of the command: a file, or - for that of iwx-queue'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l timeout -x -d 'End it after this time; 0 never. Without it, queue.timeout of iwx.toml(5)'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l env -x -d 'Add to its environment. May be repeated'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l cwd -x -a '(__fish_complete_directories (commandline -ct))' -d 'Run it in this directory; on the nodes / without it'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l rerun -d 'It may run again when a crash leaves its outcome unknown'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l sensitive -d 'Show it nowhere, and forget it once every node has done it'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l wait -d 'Wait until the nodes have done it'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l wait-timeout -x -d 'Wait no longer than this; the nodes go on. Implies --wait'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l yes -s y -d 'Do not ask'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0' -l help -s h -d 'Print this help'
complete -c iwx-queue -n '__iwx_queue_at \'run\' 0+' -a '(__iwx_queue_command)'

complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l node -s n -x -a '(__iwx_queue_values node)' -d 'Only this node. May be repeated'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l baseline -d 'Also for the nodes that join later'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l rolling -x -d 'On so many nodes at a time, in the order of their names; a failure stops it'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l stdin -r -F -d 'Standard input of the command: a file, or - for that of iwx-queue'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l timeout -x -d 'End it after this time; 0 never. Without it, queue.timeout of iwx.toml(5)'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l env -x -d 'Add to its environment. May be repeated'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l cwd -x -a '(__fish_complete_directories (commandline -ct))' -d 'Run it in this directory; on the nodes / without it'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l rerun -d 'It may run again when a crash leaves its outcome unknown'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l sensitive -d 'Show it nowhere, and forget it once every node has done it'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l user -x -a '(__fish_complete_users)' -d 'Run it as this user of the node, instead of root'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l umask -x -d 'File mode creation mask, octal'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l json -d 'Print the numbers in JSON'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l wait -d 'Wait until the nodes have done it'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l wait-timeout -x -d 'Wait no longer than this; the nodes go on. Implies --wait'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l yes -s y -d 'Do not ask'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0' -l help -s h -d 'Print this help'
complete -c iwx-queue -n '__iwx_queue_at \'add\' 0+' -a '(__iwx_queue_command)'

complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l node -s n -x -a '(__iwx_queue_values node)' -d 'Only this node. May be repeated'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l baseline -d 'Also for the nodes that join later'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l rolling -x -d 'On so many nodes at a time, in the order of their names; a failure stops it'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l mode -x -d 'Its mode on the nodes, octal, instead of the file\'s own'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l owner -x -a '(__fish_complete_users)' -d 'Its owner on the nodes, instead of the file\'s own'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l check -x -d 'Run this with sh(1) after writing; if it fails, the old file comes back'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l reload -x -d 'Run this with sh(1) when the file is in place'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l timeout -x -d 'End the checks after this time; 0 never. Without it, queue.timeout of iwx.toml(5)'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l json -d 'Print the numbers in JSON'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l nodes-only -d 'Run --check and --reload on the nodes alone, not here first'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l wait -d 'Wait until the nodes have done it'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l wait-timeout -x -d 'Wait no longer than this; the nodes go on. Implies --wait'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l yes -s y -d 'Do not ask'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'push\'' -l help -s h -d 'Print this help'
complete -c iwx-queue -n '__iwx_queue_at \'push\' 0+' -F

complete -c iwx-queue -n '__iwx_queue_at \'list\'' -l all -d 'List every entry that is in the log'
complete -c iwx-queue -n '__iwx_queue_at \'list\'' -l limit -x -d 'List at most so many. Without it 20; all with --pending, --failed, -H, -p and --json'
complete -c iwx-queue -n '__iwx_queue_at \'list\'' -l node -s n -x -a '(__iwx_queue_values node)' -d 'Only the entries for this node'
complete -c iwx-queue -n '__iwx_queue_at \'list\'' -l failed -d 'Only the entries that a node halts at'
complete -c iwx-queue -n '__iwx_queue_at \'list\'' -l pending -d 'Only the entries that a node has not finished'
complete -c iwx-queue -n '__iwx_queue_at \'list\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-queue -n '__iwx_queue_at \'list\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-queue -n '__iwx_queue_at \'list\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-queue -n '__iwx_queue_at \'list\'' -l json -d 'Print JSON'
complete -c iwx-queue -n '__iwx_queue_at \'list\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'list\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'list\'' -l help -s h -d 'Print this help'

complete -c iwx-queue -n '__iwx_queue_at \'show\'' -l output -d 'Print what the last attempt wrote on every node, not just where it failed'
complete -c iwx-queue -n '__iwx_queue_at \'show\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-queue -n '__iwx_queue_at \'show\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-queue -n '__iwx_queue_at \'show\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-queue -n '__iwx_queue_at \'show\'' -l json -d 'Print JSON'
complete -c iwx-queue -n '__iwx_queue_at \'show\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'show\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'show\'' -l help -s h -d 'Print this help'
complete -c iwx-queue -n '__iwx_queue_at \'show\' 0' -a '(__iwx_queue_values entry)'

complete -c iwx-queue -n '__iwx_queue_at \'status\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-queue -n '__iwx_queue_at \'status\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-queue -n '__iwx_queue_at \'status\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-queue -n '__iwx_queue_at \'status\'' -l json -d 'Print JSON'
complete -c iwx-queue -n '__iwx_queue_at \'status\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'status\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'status\'' -l help -s h -d 'Print this help'

complete -c iwx-queue -n '__iwx_queue_at \'history\'' -l node -s n -x -a '(__iwx_queue_values node)' -d 'Only attempts on this node'
complete -c iwx-queue -n '__iwx_queue_at \'history\'' -l entry -s e -x -a '(__iwx_queue_values entry)' -d 'Only attempts of this entry'
complete -c iwx-queue -n '__iwx_queue_at \'history\'' -l failed -d 'Only those that did not succeed'
complete -c iwx-queue -n '__iwx_queue_at \'history\'' -l since -x -d 'Only those of the last hours or days: 12h, 7d'
complete -c iwx-queue -n '__iwx_queue_at \'history\'' -l all -d 'List every attempt that is kept'
complete -c iwx-queue -n '__iwx_queue_at \'history\'' -l limit -x -d 'List at most so many. Without it 50; all with -H, -p and --json'
complete -c iwx-queue -n '__iwx_queue_at \'history\'' -l output -d 'Print what the commands wrote'
complete -c iwx-queue -n '__iwx_queue_at \'history\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-queue -n '__iwx_queue_at \'history\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-queue -n '__iwx_queue_at \'history\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-queue -n '__iwx_queue_at \'history\'' -l json -d 'Print JSON'
complete -c iwx-queue -n '__iwx_queue_at \'history\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'history\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'history\'' -l help -s h -d 'Print this help'

complete -c iwx-queue -n '__iwx_queue_at \'retry\'' -l all -d 'Every node that is halted'
complete -c iwx-queue -n '__iwx_queue_at \'retry\'' -l wait -d 'Wait until the nodes have done it'
complete -c iwx-queue -n '__iwx_queue_at \'retry\'' -l wait-timeout -x -d 'Wait no longer than this; the nodes go on. Implies --wait'
complete -c iwx-queue -n '__iwx_queue_at \'retry\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'retry\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'retry\'' -l help -s h -d 'Print this help'
complete -c iwx-queue -n '__iwx_queue_at \'retry\' 0+' -a '(__iwx_queue_values node)'

complete -c iwx-queue -n '__iwx_queue_at \'skip\'' -l reason -x -d 'Why, for the record'
complete -c iwx-queue -n '__iwx_queue_at \'skip\'' -l yes -s y -d 'Do not ask'
complete -c iwx-queue -n '__iwx_queue_at \'skip\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'skip\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'skip\'' -l help -s h -d 'Print this help'
complete -c iwx-queue -n '__iwx_queue_at \'skip\' 0' -a '(__iwx_queue_values node)'
complete -c iwx-queue -n '__iwx_queue_at \'skip\' 1' -a '(__iwx_queue_values entry)'

complete -c iwx-queue -n '__iwx_queue_at \'done\'' -l reason -x -d 'Why, for the record'
complete -c iwx-queue -n '__iwx_queue_at \'done\'' -l yes -s y -d 'Do not ask'
complete -c iwx-queue -n '__iwx_queue_at \'done\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'done\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'done\'' -l help -s h -d 'Print this help'
complete -c iwx-queue -n '__iwx_queue_at \'done\' 0' -a '(__iwx_queue_values node)'
complete -c iwx-queue -n '__iwx_queue_at \'done\' 1' -a '(__iwx_queue_values entry)'

complete -c iwx-queue -n '__iwx_queue_at \'pause\'' -l all -d 'Every node'
complete -c iwx-queue -n '__iwx_queue_at \'pause\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'pause\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'pause\'' -l help -s h -d 'Print this help'
complete -c iwx-queue -n '__iwx_queue_at \'pause\' 0+' -a '(__iwx_queue_values node)'

complete -c iwx-queue -n '__iwx_queue_at \'resume\'' -l all -d 'Every node'
complete -c iwx-queue -n '__iwx_queue_at \'resume\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'resume\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'resume\'' -l help -s h -d 'Print this help'
complete -c iwx-queue -n '__iwx_queue_at \'resume\' 0+' -a '(__iwx_queue_values node)'

complete -c iwx-queue -n '__iwx_queue_at \'release\'' -l wait -d 'Wait until the nodes have done it'
complete -c iwx-queue -n '__iwx_queue_at \'release\'' -l wait-timeout -x -d 'Wait no longer than this; the nodes go on. Implies --wait'
complete -c iwx-queue -n '__iwx_queue_at \'release\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'release\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'release\'' -l help -s h -d 'Print this help'
complete -c iwx-queue -n '__iwx_queue_at \'release\' 0' -a '(__iwx_queue_values held)'

complete -c iwx-queue -n '__iwx_queue_at \'cancel\'' -l reason -x -d 'Why, for the record'
complete -c iwx-queue -n '__iwx_queue_at \'cancel\'' -l yes -s y -d 'Do not ask'
complete -c iwx-queue -n '__iwx_queue_at \'cancel\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'cancel\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'cancel\'' -l help -s h -d 'Print this help'
complete -c iwx-queue -n '__iwx_queue_at \'cancel\' 0' -a '(__iwx_queue_values entry)'

complete -c iwx-queue -n '__iwx_queue_at \'wait\'' -l timeout -x -d 'Give up after this time; the nodes go on'
complete -c iwx-queue -n '__iwx_queue_at \'wait\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'wait\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'wait\'' -l help -s h -d 'Print this help'
complete -c iwx-queue -n '__iwx_queue_at \'wait\' 0' -a '(__iwx_queue_values entry)'

complete -c iwx-queue -n '__iwx_queue_at \'log\'' -l number -s n -x -d 'Begin with the last so many, 0 with the first that there is. Without it 50; all with -H, -p and --json'
complete -c iwx-queue -n '__iwx_queue_at \'log\'' -l follow -s f -d 'Go on, and print new records as they come'
complete -c iwx-queue -n '__iwx_queue_at \'log\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-queue -n '__iwx_queue_at \'log\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-queue -n '__iwx_queue_at \'log\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-queue -n '__iwx_queue_at \'log\'' -l json -d 'Print JSON'
complete -c iwx-queue -n '__iwx_queue_at \'log\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'log\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'log\'' -l help -s h -d 'Print this help'

complete -c iwx-queue -n '__iwx_queue_at \'recover\'' -l yes -s y -d 'Do not ask'
complete -c iwx-queue -n '__iwx_queue_at \'recover\'' -l dry-run -d 'Print what would be taken back, and do nothing'
complete -c iwx-queue -n '__iwx_queue_at \'recover\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'recover\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'recover\'' -l help -s h -d 'Print this help'

complete -c iwx-queue -n '__iwx_queue_at \'accept\'' -l yes -s y -d 'Do not ask'
complete -c iwx-queue -n '__iwx_queue_at \'accept\'' -l dry-run -d 'Print what would be given up, and do nothing'
complete -c iwx-queue -n '__iwx_queue_at \'accept\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queue -n '__iwx_queue_at \'accept\'' -l version -d 'Print the version'
complete -c iwx-queue -n '__iwx_queue_at \'accept\'' -l help -s h -d 'Print this help'
complete -c iwx-queue -n '__iwx_queue_at \'accept\' 0+' -a '(__iwx_queue_values node)'
