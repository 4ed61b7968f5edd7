# fish completion for iwx-queued, generated from its grammar

function __iwx_queued_paths
    printf '%s\n'
end

function __iwx_queued_takes
    printf '%s\n' ' --root'
end

# Prints the verb of the command line, and the index of each argument after it.
function __iwx_queued_parse
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
            contains -- "$path $word" (__iwx_queued_takes); and set skip 1
        else if test -z "$found"; and contains -- (string trim -- "$path $word") (__iwx_queued_paths)
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
function __iwx_queued_at
    set -l parsed (__iwx_queued_parse)
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
function __iwx_queued_values
    set -l words (commandline -opc)
    set -l tool (string replace -r '^~' $HOME -- $words[1])
    $tool __complete $argv[1] 2>/dev/null
end

# The command that is an argument is completed as if it stood alone.
function __iwx_queued_command
    set -l words (commandline -opc)
    set -l parsed (__iwx_queued_parse)
    set -l line
    if set -q parsed[2]
        set line (string escape -- $words[$parsed[2]..-1])
    end
    complete --do-complete=(string join ' ' -- $line (commandline -ct))
end

complete -c iwx-queued -e
complete -c iwx-queued -f

complete -c iwx-queued -n '__iwx_queued_at \'\'' -l once -d 'Node: replay what is due, report it and exit; for cron'
complete -c iwx-queued -n '__iwx_queued_at \'\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-queued -n '__iwx_queued_at \'\'' -l version -d 'Print the version'
complete -c iwx-queued -n '__iwx_queued_at \'\'' -l help -s h -d 'Print this help'
