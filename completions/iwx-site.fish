# fish completion for iwx-site, generated from its grammar

function __iwx_site_paths
    printf '%s\n' 'add' 'list' 'show' 'edit' 'suspend' 'resume' 'delete' 'check' 'sync' 'import' 'template' 'template list' 'template show' 'template check' 'template apply' 'dns' 'dns list' 'dns add' 'dns edit' 'dns delete' 'dns import' 'dns export' 'dns adopt' 'dns release'
end

function __iwx_site_takes
    printf '%s\n' ' --root' 'add --user' 'add --alias' 'add --template' 'add --tls-cert' 'add --tls-key' 'add --from' 'add --wait-timeout' 'add --root' 'list --columns' 'list -o' 'list --root' 'show --columns' 'show -o' 'show --root' 'edit --alias' 'edit --no-alias' 'edit --template' 'edit --tls-cert' 'edit --tls-key' 'edit --wait-timeout' 'edit --root' 'suspend --wait-timeout' 'suspend --root' 'resume --wait-timeout' 'resume --root' 'delete --timeout' 'delete --root' 'check --columns' 'check -o' 'check --timeout' 'check --node' 'check -n' 'check --root' 'sync --timeout' 'sync --wait-timeout' 'sync --root' 'import --columns' 'import -o' 'import --template' 'import --drop' 'import --wait-timeout' 'import --root' 'template --root' 'template list --columns' 'template list -o' 'template list --root' 'template show --syntax' 'template show --site' 'template show --root' 'template check --columns' 'template check -o' 'template check --root' 'template apply --wait-timeout' 'template apply --root' 'dns --root' 'dns list --columns' 'dns list -o' 'dns list --root' 'dns add --ttl' 'dns add --root' 'dns edit --ttl' 'dns edit --root' 'dns delete --root' 'dns import --zone' 'dns import --root' 'dns export --root' 'dns adopt --root' 'dns release --root'
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

complete -c iwx-site -n '__iwx_site_at \'\' 0' -a 'add' -d 'Make a site, or many'
complete -c iwx-site -n '__iwx_site_at \'\' 0' -a 'list' -d 'List the sites'
complete -c iwx-site -n '__iwx_site_at \'\' 0' -a 'show' -d 'Show a site, and how far each node is with it'
complete -c iwx-site -n '__iwx_site_at \'\' 0' -a 'edit' -d 'Change a site'
complete -c iwx-site -n '__iwx_site_at \'\' 0' -a 'suspend' -d 'Show a page that says so instead of a site, and lock its user out'
complete -c iwx-site -n '__iwx_site_at \'\' 0' -a 'resume' -d 'Take suspend back'
complete -c iwx-site -n '__iwx_site_at \'\' 0' -a 'delete' -d 'Delete sites'
complete -c iwx-site -n '__iwx_site_at \'\' 0' -a 'check' -d 'Look whether every server has the sites as they should be'
complete -c iwx-site -n '__iwx_site_at \'\' 0' -a 'sync' -d 'Repair the sites of servers'
complete -c iwx-site -n '__iwx_site_at \'\' 0' -a 'import' -d 'Take over the virtual hosts that are there already'
complete -c iwx-site -n '__iwx_site_at \'\' 0' -a 'template' -d 'The templates of virtual hosts'
complete -c iwx-site -n '__iwx_site_at \'\' 0' -a 'dns' -d 'The zones of the sites, and others'
complete -c iwx-site -n '__iwx_site_at \'\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'\'' -l help -s h -d 'Print this help'

complete -c iwx-site -n '__iwx_site_at \'add\'' -l user -x -d 'The name of its user and group; without it, one is made of the domain'
complete -c iwx-site -n '__iwx_site_at \'add\'' -l alias -x -d 'A further name that it answers to. May be repeated'
complete -c iwx-site -n '__iwx_site_at \'add\'' -l template -x -a '(__iwx_site_values template)' -d 'The template of its virtual host'
complete -c iwx-site -n '__iwx_site_at \'add\'' -l tls-cert -r -F -d 'Its certificate, in PEM, with those that it was signed with'
complete -c iwx-site -n '__iwx_site_at \'add\'' -l tls-key -r -F -d 'The key of the certificate, in PEM'
complete -c iwx-site -n '__iwx_site_at \'add\'' -l shell -d 'Let the user log in'
complete -c iwx-site -n '__iwx_site_at \'add\'' -l from -r -F -d 'Add a site for each line of a file, or - for standard input: DOMAIN [user=NAME] [alias=DOMAIN]... [template=NAME] [tls-cert=FILE tls-key=FILE] [shell]'
complete -c iwx-site -n '__iwx_site_at \'add\'' -l wait -d 'Wait until the nodes have done it'
complete -c iwx-site -n '__iwx_site_at \'add\'' -l wait-timeout -x -d 'Wait no longer than this; the nodes go on. Implies --wait'
complete -c iwx-site -n '__iwx_site_at \'add\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'add\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'add\'' -l help -s h -d 'Print this help'

complete -c iwx-site -n '__iwx_site_at \'list\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-site -n '__iwx_site_at \'list\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-site -n '__iwx_site_at \'list\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-site -n '__iwx_site_at \'list\'' -l json -d 'Print JSON'
complete -c iwx-site -n '__iwx_site_at \'list\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'list\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'list\'' -l help -s h -d 'Print this help'

complete -c iwx-site -n '__iwx_site_at \'show\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-site -n '__iwx_site_at \'show\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-site -n '__iwx_site_at \'show\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-site -n '__iwx_site_at \'show\'' -l json -d 'Print JSON'
complete -c iwx-site -n '__iwx_site_at \'show\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'show\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'show\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'show\' 0' -a '(__iwx_site_values site)'

complete -c iwx-site -n '__iwx_site_at \'edit\'' -l alias -x -d 'Answer to this name too. May be repeated'
complete -c iwx-site -n '__iwx_site_at \'edit\'' -l no-alias -x -d 'Answer to this name no longer. May be repeated'
complete -c iwx-site -n '__iwx_site_at \'edit\'' -l template -x -a '(__iwx_site_values template)' -d 'The template of its virtual host'
complete -c iwx-site -n '__iwx_site_at \'edit\'' -l tls-cert -r -F -d 'Its certificate, in PEM, with those that it was signed with'
complete -c iwx-site -n '__iwx_site_at \'edit\'' -l tls-key -r -F -d 'The key of the certificate, in PEM'
complete -c iwx-site -n '__iwx_site_at \'edit\'' -l no-tls -d 'Have no certificate any more'
complete -c iwx-site -n '__iwx_site_at \'edit\'' -l shell -d 'Let the user log in'
complete -c iwx-site -n '__iwx_site_at \'edit\'' -l no-shell -d 'Let the user log in no longer'
complete -c iwx-site -n '__iwx_site_at \'edit\'' -l wait -d 'Wait until the nodes have done it'
complete -c iwx-site -n '__iwx_site_at \'edit\'' -l wait-timeout -x -d 'Wait no longer than this; the nodes go on. Implies --wait'
complete -c iwx-site -n '__iwx_site_at \'edit\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'edit\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'edit\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'edit\' 0' -a '(__iwx_site_values site)'

complete -c iwx-site -n '__iwx_site_at \'suspend\'' -l wait -d 'Wait until the nodes have done it'
complete -c iwx-site -n '__iwx_site_at \'suspend\'' -l wait-timeout -x -d 'Wait no longer than this; the nodes go on. Implies --wait'
complete -c iwx-site -n '__iwx_site_at \'suspend\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'suspend\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'suspend\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'suspend\' 0' -a '(__iwx_site_values site)'

complete -c iwx-site -n '__iwx_site_at \'resume\'' -l wait -d 'Wait until the nodes have done it'
complete -c iwx-site -n '__iwx_site_at \'resume\'' -l wait-timeout -x -d 'Wait no longer than this; the nodes go on. Implies --wait'
complete -c iwx-site -n '__iwx_site_at \'resume\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'resume\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'resume\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'resume\' 0' -a '(__iwx_site_values site)'

complete -c iwx-site -n '__iwx_site_at \'delete\'' -l yes -s y -d 'Do not ask'
complete -c iwx-site -n '__iwx_site_at \'delete\'' -l purge -d 'Delete the homes too, with all that is in them'
complete -c iwx-site -n '__iwx_site_at \'delete\'' -l timeout -x -d 'Wait no longer than this for the nodes'
complete -c iwx-site -n '__iwx_site_at \'delete\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'delete\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'delete\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'delete\' 0+' -a '(__iwx_site_values site)'

complete -c iwx-site -n '__iwx_site_at \'check\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-site -n '__iwx_site_at \'check\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-site -n '__iwx_site_at \'check\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-site -n '__iwx_site_at \'check\'' -l json -d 'Print JSON'
complete -c iwx-site -n '__iwx_site_at \'check\'' -l timeout -x -d 'Wait no longer than this for the servers to answer'
complete -c iwx-site -n '__iwx_site_at \'check\'' -l node -s n -x -a '(__iwx_site_values server)' -d 'Only this server. May be repeated'
complete -c iwx-site -n '__iwx_site_at \'check\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'check\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'check\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'check\' 0' -a '(__iwx_site_values site)'

complete -c iwx-site -n '__iwx_site_at \'sync\'' -l all -d 'Every server, the manager too'
complete -c iwx-site -n '__iwx_site_at \'sync\'' -l dry-run -d 'Print what would be repaired, and change nothing'
complete -c iwx-site -n '__iwx_site_at \'sync\'' -l timeout -x -d 'Wait no longer than this for the servers to answer'
complete -c iwx-site -n '__iwx_site_at \'sync\'' -l wait -d 'Wait until the nodes have done it'
complete -c iwx-site -n '__iwx_site_at \'sync\'' -l wait-timeout -x -d 'Wait no longer than this; the nodes go on. Implies --wait'
complete -c iwx-site -n '__iwx_site_at \'sync\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'sync\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'sync\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'sync\' 0+' -a '(__iwx_site_values server)'

complete -c iwx-site -n '__iwx_site_at \'import\'' -l yes -s y -d 'Do not ask'
complete -c iwx-site -n '__iwx_site_at \'import\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-site -n '__iwx_site_at \'import\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-site -n '__iwx_site_at \'import\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-site -n '__iwx_site_at \'import\'' -l json -d 'Print JSON'
complete -c iwx-site -n '__iwx_site_at \'import\'' -l dry-run -d 'Print the plan, and do nothing'
complete -c iwx-site -n '__iwx_site_at \'import\'' -l template -x -a '(__iwx_site_values template)' -d 'The template of the sites\' virtual hosts'
complete -c iwx-site -n '__iwx_site_at \'import\'' -l drop -x -d 'Take over what has this directive, without it. May be repeated'
complete -c iwx-site -n '__iwx_site_at \'import\'' -l new-user -d 'Make a user for each site, whoever its files belong to'
complete -c iwx-site -n '__iwx_site_at \'import\'' -l wait -d 'Wait until the nodes have done it'
complete -c iwx-site -n '__iwx_site_at \'import\'' -l wait-timeout -x -d 'Wait no longer than this; the nodes go on. Implies --wait'
complete -c iwx-site -n '__iwx_site_at \'import\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'import\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'import\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'import\' 0+' -a '(__iwx_site_values vhost)'

complete -c iwx-site -n '__iwx_site_at \'template\' 0' -a 'list' -d 'List the templates of virtual hosts'
complete -c iwx-site -n '__iwx_site_at \'template\' 0' -a 'show' -d 'Print a template, or the virtual host it makes for a site'
complete -c iwx-site -n '__iwx_site_at \'template\' 0' -a 'check' -d 'Have the web server test the templates'
complete -c iwx-site -n '__iwx_site_at \'template\' 0' -a 'apply' -d 'Make the virtual hosts of all sites that use a template anew'
complete -c iwx-site -n '__iwx_site_at \'template\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'template\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'template\'' -l help -s h -d 'Print this help'

complete -c iwx-site -n '__iwx_site_at \'template list\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-site -n '__iwx_site_at \'template list\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-site -n '__iwx_site_at \'template list\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-site -n '__iwx_site_at \'template list\'' -l json -d 'Print JSON'
complete -c iwx-site -n '__iwx_site_at \'template list\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'template list\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'template list\'' -l help -s h -d 'Print this help'

complete -c iwx-site -n '__iwx_site_at \'template show\'' -l syntax -x -a 'apache nginx ' -d 'For which web server: apache, which is apache2 and httpd, or nginx. Without it, the one that serves the sites'
complete -c iwx-site -n '__iwx_site_at \'template show\'' -l site -x -a '(__iwx_site_values site)' -d 'Print the virtual host that it makes of this site'
complete -c iwx-site -n '__iwx_site_at \'template show\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'template show\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'template show\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'template show\' 0' -a '(__iwx_site_values template)'

complete -c iwx-site -n '__iwx_site_at \'template check\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-site -n '__iwx_site_at \'template check\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-site -n '__iwx_site_at \'template check\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-site -n '__iwx_site_at \'template check\'' -l json -d 'Print JSON'
complete -c iwx-site -n '__iwx_site_at \'template check\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'template check\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'template check\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'template check\' 0+' -a '(__iwx_site_values template)'

complete -c iwx-site -n '__iwx_site_at \'template apply\'' -l dry-run -d 'Print the sites that would change, and do nothing'
complete -c iwx-site -n '__iwx_site_at \'template apply\'' -l wait -d 'Wait until the nodes have done it'
complete -c iwx-site -n '__iwx_site_at \'template apply\'' -l wait-timeout -x -d 'Wait no longer than this; the nodes go on. Implies --wait'
complete -c iwx-site -n '__iwx_site_at \'template apply\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'template apply\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'template apply\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'template apply\' 0' -a '(__iwx_site_values template)'

complete -c iwx-site -n '__iwx_site_at \'dns\' 0' -a 'list' -d 'List the zones, or the records of one'
complete -c iwx-site -n '__iwx_site_at \'dns\' 0' -a 'add' -d 'Add a record'
complete -c iwx-site -n '__iwx_site_at \'dns\' 0' -a 'edit' -d 'Replace the records of a name and type by one, or change their TTL'
complete -c iwx-site -n '__iwx_site_at \'dns\' 0' -a 'delete' -d 'Delete records, or a zone'
complete -c iwx-site -n '__iwx_site_at \'dns\' 0' -a 'import' -d 'Replace a zone by a zone file'
complete -c iwx-site -n '__iwx_site_at \'dns\' 0' -a 'export' -d 'Print a zone as a zone file'
complete -c iwx-site -n '__iwx_site_at \'dns\' 0' -a 'adopt' -d 'Have the nodes serve a zone that is kept in BIND by hand, too'
complete -c iwx-site -n '__iwx_site_at \'dns\' 0' -a 'release' -d 'Take adopt back'
complete -c iwx-site -n '__iwx_site_at \'dns\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'dns\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'dns\'' -l help -s h -d 'Print this help'

complete -c iwx-site -n '__iwx_site_at \'dns list\'' -l no-header -s H -d 'For scripts: no header, columns separated by one tab'
complete -c iwx-site -n '__iwx_site_at \'dns list\'' -l columns -s o -x -d 'Print only these columns, in this order'
complete -c iwx-site -n '__iwx_site_at \'dns list\'' -l exact -s p -d 'Print exact numbers and RFC 3339 times'
complete -c iwx-site -n '__iwx_site_at \'dns list\'' -l json -d 'Print JSON'
complete -c iwx-site -n '__iwx_site_at \'dns list\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'dns list\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'dns list\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'dns list\' 0' -a '(__iwx_site_values zone)'

complete -c iwx-site -n '__iwx_site_at \'dns add\'' -l ttl -x -d 'How long others may remember the records of that name and type: seconds, or as 1h'
complete -c iwx-site -n '__iwx_site_at \'dns add\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'dns add\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'dns add\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'dns add\' 0' -a '(__iwx_site_values zone)'

complete -c iwx-site -n '__iwx_site_at \'dns edit\'' -l ttl -x -d 'How long others may remember the records of that name and type: seconds, or as 1h'
complete -c iwx-site -n '__iwx_site_at \'dns edit\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'dns edit\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'dns edit\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'dns edit\' 0' -a '(__iwx_site_values zone)'

complete -c iwx-site -n '__iwx_site_at \'dns delete\'' -l yes -s y -d 'Do not ask'
complete -c iwx-site -n '__iwx_site_at \'dns delete\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'dns delete\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'dns delete\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'dns delete\' 0' -a '(__iwx_site_values zone)'

complete -c iwx-site -n '__iwx_site_at \'dns import\'' -l yes -s y -d 'Do not ask'
complete -c iwx-site -n '__iwx_site_at \'dns import\'' -l zone -x -a '(__iwx_site_values zone)' -d 'The zone; without it, the one that the file\'s SOA record is of'
complete -c iwx-site -n '__iwx_site_at \'dns import\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'dns import\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'dns import\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'dns import\' 0' -F

complete -c iwx-site -n '__iwx_site_at \'dns export\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'dns export\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'dns export\'' -l help -s h -d 'Print this help'
complete -c iwx-site -n '__iwx_site_at \'dns export\' 0' -a '(__iwx_site_values zone)'

complete -c iwx-site -n '__iwx_site_at \'dns adopt\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'dns adopt\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'dns adopt\'' -l help -s h -d 'Print this help'

complete -c iwx-site -n '__iwx_site_at \'dns release\'' -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'Directory that holds this server\'s files, instead of /'
complete -c iwx-site -n '__iwx_site_at \'dns release\'' -l version -d 'Print the version'
complete -c iwx-site -n '__iwx_site_at \'dns release\'' -l help -s h -d 'Print this help'
