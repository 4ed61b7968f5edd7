# fish completion for iwx-lb, generated from its grammar

function __iwx_lb_paths
    printf '%s\n' 'vip' 'vip add' 'vip delete' 'vip list'
end

function __iwx_lb_takes
    printf '%s\n' ' --root' 'vip --root' 'vip add --root' 'vip delete --root' 'vip list --columns' 'vip list -o' 'vip list --root'
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

complete -c iwx-lb -n '__iwx_lb_at \'\' 0' -a 'vip' -d 'The virtual IPs at which clients ask'
complete -c iwx-lb -n '__iwx_lb_at \'\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-lb -n '__iwx_lb_at \'\'' -l version -d 'Print the version'
complete -c iwx-lb -n '__iwx_lb_at \'\'' -l help -s h -d 'Print this help'

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
