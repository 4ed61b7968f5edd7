# fish completion for iwx-site, generated from its grammar

function __iwx_site_paths
    printf '%s\n' 'list'
end

function __iwx_site_takes
    printf '%s\n' ' --root' 'list --columns' 'list -o' 'list --root'
end

# Prints the verb of the command line, and the index of each argument after it.
function __iwx_site_parse
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
            contains -- "$path $word" (__iwx_site_takes); and set skip 1
        else if test -z "$found"; and contains -- (string trim -- "$path $word") (__iwx_site_paths)
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
function __iwx_site_at
    set -l parsed (__iwx_site_parse)
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
function __iwx_site_values
    set -l words (commandline -opc)
    set -l tool (string replace -r '^~' $HOME -- $words[1])
    $tool __complete $argv[1] 2>/dev/null
end

# The command that is an argument is completed as if it stood alone.
function __iwx_site_command
    set -l words (commandline -opc)
    set -l parsed (__iwx_site_parse)
    set -l line
    if set -q parsed[2]
        set line (string escape -- $words[$parsed[2]..-1])
    end
    complete --do-complete=(string join ' ' -- $line (commandline -ct))
end

complete -c iwx-site -e
complete -c iwx-site -f

complete -c iwx-site -n '__iwx_site_at \'\' 0' -a 'list' -d 'List the sites'
complete -c iwx-site -n '__iwx_site_at \'\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'\'' -l help -s h -d 'Print this help'

complete -c iwx-site -n '__iwx_site_at \'list\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-site -n '__iwx_site_at \'list\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-site -n '__iwx_site_at \'list\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-site -n '__iwx_site_at \'list\'' -l json -d 'Print JSON'
complete -c iwx-site -n '__iwx_site_at \'list\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'list\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'list\'' -l help -s h -d 'Print this help'
