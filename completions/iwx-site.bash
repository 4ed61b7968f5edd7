# bash completion for iwx-site, generated from its grammar

# Sets what follows the verb $1: verbs and flags with descriptions,
# flags that take a value, and the arguments.
_iwx_site_spec() {
    verbs=() flags=() takes=() args=()
    case $1 in
    '')
        verbs=(
            'add	Make a site, or many'
            'list	List the sites'
            'show	Show a site, and how far each node is with it'
            'edit	Change a site'
            'suspend	Show a page that says so instead of a site, and lock its user out'
            'resume	Take suspend back'
            'delete	Delete sites'
            'check	Look whether every server has the sites as they should be'
            'sync	Repair the sites of servers'
            'import	Take over the virtual hosts that are there already'
            'template	The templates of virtual hosts'
            'dns	The zones of the sites, and others'
        )
        flags=(
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--root dir'
        )
        ;;
    'add')
        flags=(
            '--user	The name of its user and group; without it, one is made of the domain'
            '--alias	A further name that it answers to. May be repeated'
            '--template	The template of its virtual host'
            '--tls-cert	Its certificate, in PEM, with those that it was signed with'
            '--tls-key	The key of the certificate, in PEM'
            '--shell	Let the user log in'
            '--from	Add a site for each line of a file, or - for standard input: DOMAIN [user=NAME] [alias=DOMAIN]... [template=NAME] [tls-cert=FILE tls-key=FILE] [shell]'
            '--wait	Wait until the nodes have done it'
            '--wait-timeout	Wait no longer than this; the nodes go on. Implies --wait'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--user '
            '--alias '
            '--template template'
            '--tls-cert file'
            '--tls-key file'
            '--from file'
            '--wait-timeout '
            '--root dir'
        )
        args=(
            ''
        )
        ;;
    'list')
        flags=(
            '--no-header	For scripts: no header, columns separated by one tab'
            '-H	For scripts: no header, columns separated by one tab'
            '--columns	Print only these columns, in this order'
            '-o	Print only these columns, in this order'
            '--exact	Print exact numbers and RFC 3339 times'
            '-p	Print exact numbers and RFC 3339 times'
            '--json	Print JSON'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--columns '
            '-o '
            '--root dir'
        )
        ;;
    'show')
        flags=(
            '--no-header	For scripts: no header, columns separated by one tab'
            '-H	For scripts: no header, columns separated by one tab'
            '--columns	Print only these columns, in this order'
            '-o	Print only these columns, in this order'
            '--exact	Print exact numbers and RFC 3339 times'
            '-p	Print exact numbers and RFC 3339 times'
            '--json	Print JSON'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--columns '
            '-o '
            '--root dir'
        )
        args=(
            'site'
        )
        ;;
    'edit')
        flags=(
            '--alias	Answer to this name too. May be repeated'
            '--no-alias	Answer to this name no longer. May be repeated'
            '--template	The template of its virtual host'
            '--tls-cert	Its certificate, in PEM, with those that it was signed with'
            '--tls-key	The key of the certificate, in PEM'
            '--no-tls	Have no certificate any more'
            '--shell	Let the user log in'
            '--no-shell	Let the user log in no longer'
            '--wait	Wait until the nodes have done it'
            '--wait-timeout	Wait no longer than this; the nodes go on. Implies --wait'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--alias '
            '--no-alias '
            '--template template'
            '--tls-cert file'
            '--tls-key file'
            '--wait-timeout '
            '--root dir'
        )
        args=(
            'site'
        )
        ;;
    'suspend')
        flags=(
            '--wait	Wait until the nodes have done it'
            '--wait-timeout	Wait no longer than this; the nodes go on. Implies --wait'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--wait-timeout '
            '--root dir'
        )
        args=(
            'site'
        )
        ;;
    'resume')
        flags=(
            '--wait	Wait until the nodes have done it'
            '--wait-timeout	Wait no longer than this; the nodes go on. Implies --wait'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--wait-timeout '
            '--root dir'
        )
        args=(
            'site'
        )
        ;;
    'delete')
        flags=(
            '--yes	Do not ask'
            '-y	Do not ask'
            '--purge	Delete the homes too, with all that is in them'
            '--timeout	Wait no longer than this for the nodes'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--timeout '
            '--root dir'
        )
        args=(
            'site...'
        )
        ;;
    'check')
        flags=(
            '--no-header	For scripts: no header, columns separated by one tab'
            '-H	For scripts: no header, columns separated by one tab'
            '--columns	Print only these columns, in this order'
            '-o	Print only these columns, in this order'
            '--exact	Print exact numbers and RFC 3339 times'
            '-p	Print exact numbers and RFC 3339 times'
            '--json	Print JSON'
            '--timeout	Wait no longer than this for the servers to answer'
            '--node	Only this server. May be repeated'
            '-n	Only this server. May be repeated'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--columns '
            '-o '
            '--timeout '
            '--node server'
            '-n server'
            '--root dir'
        )
        args=(
            'site'
        )
        ;;
    'sync')
        flags=(
            '--all	Every server, the manager too'
            '--dry-run	Print what would be repaired, and change nothing'
            '--timeout	Wait no longer than this for the servers to answer'
            '--wait	Wait until the nodes have done it'
            '--wait-timeout	Wait no longer than this; the nodes go on. Implies --wait'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--timeout '
            '--wait-timeout '
            '--root dir'
        )
        args=(
            'server...'
        )
        ;;
    'import')
        flags=(
            '--yes	Do not ask'
            '-y	Do not ask'
            '--no-header	For scripts: no header, columns separated by one tab'
            '-H	For scripts: no header, columns separated by one tab'
            '--columns	Print only these columns, in this order'
            '-o	Print only these columns, in this order'
            '--exact	Print exact numbers and RFC 3339 times'
            '-p	Print exact numbers and RFC 3339 times'
            '--json	Print JSON'
            '--dry-run	Print the plan, and do nothing'
            '--template	The template of the sites'\'' virtual hosts'
            '--drop	Take over what has this directive, without it. May be repeated'
            '--new-user	Make a user for each site, whoever its files belong to'
            '--wait	Wait until the nodes have done it'
            '--wait-timeout	Wait no longer than this; the nodes go on. Implies --wait'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--columns '
            '-o '
            '--template template'
            '--drop '
            '--wait-timeout '
            '--root dir'
        )
        args=(
            'vhost...'
        )
        ;;
    'template')
        verbs=(
            'list	List the templates of virtual hosts'
            'show	Print a template, or the virtual host it makes for a site'
            'check	Have the web server test the templates'
            'apply	Make the virtual hosts of all sites that use a template anew'
        )
        flags=(
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--root dir'
        )
        ;;
    'template list')
        flags=(
            '--no-header	For scripts: no header, columns separated by one tab'
            '-H	For scripts: no header, columns separated by one tab'
            '--columns	Print only these columns, in this order'
            '-o	Print only these columns, in this order'
            '--exact	Print exact numbers and RFC 3339 times'
            '-p	Print exact numbers and RFC 3339 times'
            '--json	Print JSON'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--columns '
            '-o '
            '--root dir'
        )
        ;;
    'template show')
        flags=(
            '--syntax	For which web server: apache, which is apache2 and httpd, or nginx. Without it, the one that serves the sites'
            '--site	Print the virtual host that it makes of this site'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--syntax apache,nginx,'
            '--site site'
            '--root dir'
        )
        args=(
            'template'
        )
        ;;
    'template check')
        flags=(
            '--no-header	For scripts: no header, columns separated by one tab'
            '-H	For scripts: no header, columns separated by one tab'
            '--columns	Print only these columns, in this order'
            '-o	Print only these columns, in this order'
            '--exact	Print exact numbers and RFC 3339 times'
            '-p	Print exact numbers and RFC 3339 times'
            '--json	Print JSON'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--columns '
            '-o '
            '--root dir'
        )
        args=(
            'template...'
        )
        ;;
    'template apply')
        flags=(
            '--dry-run	Print the sites that would change, and do nothing'
            '--wait	Wait until the nodes have done it'
            '--wait-timeout	Wait no longer than this; the nodes go on. Implies --wait'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--wait-timeout '
            '--root dir'
        )
        args=(
            'template'
        )
        ;;
    'dns')
        verbs=(
            'list	List the zones, or the records of one'
            'add	Add a record'
            'edit	Replace the records of a name and type by one, or change their TTL'
            'delete	Delete records, or a zone'
            'import	Replace a zone by a zone file'
            'export	Print a zone as a zone file'
            'adopt	Have the nodes serve a zone that is kept in BIND by hand, too'
            'release	Take adopt back'
        )
        flags=(
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--root dir'
        )
        ;;
    'dns list')
        flags=(
            '--no-header	For scripts: no header, columns separated by one tab'
            '-H	For scripts: no header, columns separated by one tab'
            '--columns	Print only these columns, in this order'
            '-o	Print only these columns, in this order'
            '--exact	Print exact numbers and RFC 3339 times'
            '-p	Print exact numbers and RFC 3339 times'
            '--json	Print JSON'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--columns '
            '-o '
            '--root dir'
        )
        args=(
            'zone'
        )
        ;;
    'dns add')
        flags=(
            '--ttl	How long others may remember the records of that name and type: seconds, or as 1h'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--ttl '
            '--root dir'
        )
        args=(
            'zone'
            ''
            ''
            '...'
        )
        ;;
    'dns edit')
        flags=(
            '--ttl	How long others may remember the records of that name and type: seconds, or as 1h'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--ttl '
            '--root dir'
        )
        args=(
            'zone'
            ''
            ''
            '...'
        )
        ;;
    'dns delete')
        flags=(
            '--yes	Do not ask'
            '-y	Do not ask'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--root dir'
        )
        args=(
            'zone'
            ''
            ''
            '...'
        )
        ;;
    'dns import')
        flags=(
            '--yes	Do not ask'
            '-y	Do not ask'
            '--zone	The zone; without it, the one that the file'\''s SOA record is of'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--zone zone'
            '--root dir'
        )
        args=(
            'file'
        )
        ;;
    'dns export')
        flags=(
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--root dir'
        )
        args=(
            'zone'
        )
        ;;
    'dns adopt')
        flags=(
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--root dir'
        )
        args=(
            ''
        )
        ;;
    'dns release')
        flags=(
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--root dir'
        )
        args=(
            ''
        )
        ;;
    *) return 1 ;;
    esac
}

# Is the word after the flag $1 its value? Sets kind.
_iwx_site_takes() {
    local letters flag=$1 take
    if [[ $flag == -[!-]* ]]; then # -Ho is -H -o, and -onames has its value
        for ((letters = 1; letters < ${#flag} - 1; letters++)); do
            for take in "${takes[@]}"; do
                [[ ${take%% *} == "-${flag:letters:1}" ]] && return 1
            done
        done
        flag=-${flag: -1}
    fi
    for take in "${takes[@]}"; do
        [[ ${take%% *} == "$flag" ]] && kind=${take#* } && return 0
    done
    return 1
}

# Offers the lines "value<TAB>description" on stdin, each with $1 in front.
_iwx_site_offer() {
    local value help
    while IFS=$'\t' read -r value help; do
        [[ $1$value == "$cur"* ]] || continue
        value=$1$value
        COMPREPLY+=("${value#"$done"}")
        helps+=("$help")
    done
}

# Offers the values of a kind, each with $2 in front.
_iwx_site_values() {
    local value part=${cur#"$2"}
    case $1 in
    '') ;;
    file | dir)
        compopt -o filenames 2>/dev/null
        while IFS= read -r value; do
            value=$2$value
            COMPREPLY+=("${value#"$done"}")
        done < <(if [[ $1 == dir ]]; then compgen -d -- "$part"; else compgen -f -- "$part"; fi)
        ;;
    command) _iwx_site_offer "$2" < <(compgen -c -- "$part" | sort -u) ;;
    user) _iwx_site_offer "$2" < <(compgen -u -- "$part") ;;
    group) _iwx_site_offer "$2" < <(compgen -g -- "$part") ;;
    *,*) _iwx_site_offer "$2" < <(printf '%s\n' "${1//,/$'\n'}") ;;
    *) _iwx_site_offer "$2" < <("${words[0]/#\~/$HOME}" __complete "$1" 2>/dev/null) ;;
    esac
}

# The command that begins at word $1 is completed as if it stood alone.
_iwx_site_command() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif (($1 == COMP_CWORD)); then
        _iwx_site_values command ''
    else
        _iwx_site_values file ''
    fi
}

# Descriptions are shown in a list, not where a word is inserted.
_iwx_site_describe() {
    local i width=0
    ((${#COMPREPLY[@]} > 1 && ${#helps[@]} == ${#COMPREPLY[@]})) && [[ $COMP_TYPE == 63 ]] || return
    for i in "${!COMPREPLY[@]}"; do
        ((${#COMPREPLY[i]} > width)) && width=${#COMPREPLY[i]}
    done
    for i in "${!COMPREPLY[@]}"; do
        [[ ${helps[i]} ]] || continue
        printf -v "COMPREPLY[i]" '%-*s  %s' "$width" "${COMPREPLY[i]}" "${helps[i]}"
        COMPREPLY[i]=${COMPREPLY[i]:0:${COLUMNS:-80}-1}
    done
}

_iwx_site() {
    local i word cur done kind='' path='' value='' literal='' count=0 first=0
    local line=${COMP_LINE:0:COMP_POINT}
    local -a words=() verbs flags takes args helps=()
    COMPREPLY=()

    # readline splits words at = and : too; put them together again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i > 0)) && [[ $word && $line == "$word"* ]]; then
            words[${#words[@]}-1]+=$word
        else
            line=${line#"${line%%[![:space:]]*}"}
            words+=("$word")
        fi
        line=${line#"$word"}
    done
    cur=${words[${#words[@]}-1]}
    # What readline takes for finished words is not to be offered again.
    word=${COMP_WORDS[COMP_CWORD]}
    [[ $word == [=:] ]] && word=''
    done=${cur%"$word"}

    _iwx_site_spec ''
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ $value ]]; then
            value=
        elif [[ ! $literal && $word == -- ]]; then
            literal=1
        elif [[ ! $literal && $word == -?* ]]; then
            _iwx_site_takes "$word" && value=1
        elif ((${#verbs[@]})) && _iwx_site_spec "${path:+$path }$word"; then
            path=${path:+$path }$word
        else
            ((count++ == 0)) && first=$i
            _iwx_site_spec "$path"
            [[ ${args[0]} == command... ]] && literal=1
        fi
    done

    if [[ $value ]]; then
        _iwx_site_values "$kind" ''
    elif [[ ! $literal && $cur == --*=* ]]; then
        _iwx_site_takes "${cur%%=*}" && _iwx_site_values "$kind" "${cur%%=*}="
    elif [[ ! $literal && $cur == -* ]]; then
        _iwx_site_offer '' < <(printf '%s\n' "${flags[@]}")
    elif ((${#verbs[@]})); then
        _iwx_site_offer '' < <(printf '%s\n' "${verbs[@]}")
    elif ((${#args[@]})); then
        ((count < ${#args[@]})) && kind=${args[count]} || kind=${args[${#args[@]}-1]}
        if [[ $kind == command... ]]; then
            ((count)) || first=$COMP_CWORD
            ((count)) && first=$((COMP_CWORD - (${#words[@]} - 1 - first)))
            _iwx_site_command "$first"
        elif ((count < ${#args[@]})) || [[ $kind == *... ]]; then
            _iwx_site_values "${kind%...}" ''
        fi
    fi
    _iwx_site_describe
}
complete -F _iwx_site iwx-site
