# bash completion for iwx-lb, generated from its grammar

# Sets what follows the verb $1: verbs and flags with descriptions,
# flags that take a value, and the arguments.
_iwx_lb_spec() {
    verbs=() flags=() takes=() args=()
    case $1 in
    '')
        verbs=(
            'add	Balance a service'
            'edit	Change how a service is balanced'
            'delete	Balance a service no longer'
            'list	List the policies'
            'show	Show everything about a policy'
            'status	Show the state of balancing'
            'drain	Give a server no new connections'
            'undrain	Give it new connections again'
            'probe	Look at the services once, and change nothing'
            'vip	The virtual IPs at which clients ask'
            'engine	Show the engine, or change it'
            'preflight	Check whether services can be balanced here'
            'start	Balance, now and after every boot'
            'stop	Have the manager answer alone'
            'restart	Start the daemon anew'
            'diff	List where the engine differs from the configuration'
            'apply	Apply the configuration to the engine'
            'daemon	Check the servers and configure the engine accordingly; for systemd'
            'external	Leave balancing to an external balancer, or take it back'
            'export	Write the configuration of an external balancer'
            'endpoint	Report the services of this server to an external balancer; for systemd'
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
            '--vip	The virtual IP; without it, the only one of each family'
            '--scheduler	Rule by which the next connection'\''s server is chosen: wlc, rr, wrr, lc, lblc, sh, ..'
            '--persistence	A client comes back to its server for so long; 0 is never'
            '--forwarding	How a connection gets to its server: dr, nat, tun or proxy'
            '--weight	A server'\''s weight, 0 to 255; 0 takes no new connection'
            '--only	Only these servers; all is every server again'
            '--fallback	Who answers when no server is left: manager, all or reject'
            '--server-port	The servers'\'' port, where it is another'
            '--proxy-protocol	Pass the client'\''s address to the servers, by the PROXY protocol: on or off'
            '--check-level	What a check asks for: connect, protocol or certificate'
            '--check-host	The host name that a check asks for'
            '--check-path	The path that a check of HTTP asks for'
            '--check-status	The statuses of HTTP that are good, such as 200,301-302'
            '--interval	Between the checks of a server'
            '--connect-timeout	Of a check, for the connection'
            '--timeout	Of a check, for each answer'
            '--fall	So many failures in a row take a server out'
            '--rise	So many answers in a row bring it back'
            '--slow-start	How long a server that came back takes to its whole weight; 0 is at once'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--vip vip'
            '--scheduler scheduler'
            '--persistence '
            '--forwarding forwarding'
            '--weight '
            '--only node'
            '--fallback fallback'
            '--server-port '
            '--proxy-protocol switch'
            '--check-level level'
            '--check-host '
            '--check-path '
            '--check-status '
            '--interval '
            '--connect-timeout '
            '--timeout '
            '--fall '
            '--rise '
            '--slow-start '
            '--root dir'
        )
        args=(
            'service...'
        )
        ;;
    'edit')
        flags=(
            '--vip	The virtual IP; without it, the only one of each family'
            '--scheduler	Rule by which the next connection'\''s server is chosen: wlc, rr, wrr, lc, lblc, sh, ..'
            '--persistence	A client comes back to its server for so long; 0 is never'
            '--forwarding	How a connection gets to its server: dr, nat, tun or proxy'
            '--weight	A server'\''s weight, 0 to 255; 0 takes no new connection'
            '--only	Only these servers; all is every server again'
            '--fallback	Who answers when no server is left: manager, all or reject'
            '--server-port	The servers'\'' port, where it is another'
            '--proxy-protocol	Pass the client'\''s address to the servers, by the PROXY protocol: on or off'
            '--check-level	What a check asks for: connect, protocol or certificate'
            '--check-host	The host name that a check asks for'
            '--check-path	The path that a check of HTTP asks for'
            '--check-status	The statuses of HTTP that are good, such as 200,301-302'
            '--interval	Between the checks of a server'
            '--connect-timeout	Of a check, for the connection'
            '--timeout	Of a check, for each answer'
            '--fall	So many failures in a row take a server out'
            '--rise	So many answers in a row bring it back'
            '--slow-start	How long a server that came back takes to its whole weight; 0 is at once'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--vip vip'
            '--scheduler scheduler'
            '--persistence '
            '--forwarding forwarding'
            '--weight '
            '--only node'
            '--fallback fallback'
            '--server-port '
            '--proxy-protocol switch'
            '--check-level level'
            '--check-host '
            '--check-path '
            '--check-status '
            '--interval '
            '--connect-timeout '
            '--timeout '
            '--fall '
            '--rise '
            '--slow-start '
            '--root dir'
        )
        args=(
            'policy...'
        )
        ;;
    'delete')
        flags=(
            '--yes	Do not ask'
            '-y	Do not ask'
            '--vip	The virtual IP; without it, the only one of each family'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--vip vip'
            '--root dir'
        )
        args=(
            'policy...'
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
            '--vip	The virtual IP; without it, the only one of each family'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--columns '
            '-o '
            '--vip vip'
            '--root dir'
        )
        args=(
            'policy'
        )
        ;;
    'status')
        flags=(
            '--no-header	For scripts: no header, columns separated by one tab'
            '-H	For scripts: no header, columns separated by one tab'
            '--columns	Print only these columns, in this order'
            '-o	Print only these columns, in this order'
            '--exact	Print exact numbers and RFC 3339 times'
            '-p	Print exact numbers and RFC 3339 times'
            '--json	Print JSON'
            '--vip	Only this virtual IP'
            '--watch	Show it anew every second, until interrupted'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--columns '
            '-o '
            '--vip vip'
            '--root dir'
        )
        args=(
            'policy...'
        )
        ;;
    'drain')
        flags=(
            '--wait	Wait until no connection is left'
            '--timeout	Wait no longer than this; it stays drained. Implies --wait'
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
            'node'
            'policy...'
        )
        ;;
    'undrain')
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
            'node'
            'policy...'
        )
        ;;
    'probe')
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
            'probe...'
        )
        ;;
    'vip')
        verbs=(
            'add	Have the manager hold a virtual IP'
            'delete	Give a virtual IP up'
            'list	List the virtual IPs'
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
    'vip add')
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
    'vip delete')
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
            'vip'
        )
        ;;
    'vip list')
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
    'engine')
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
            'engine'
        )
        ;;
    'preflight')
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
    'start')
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
    'stop')
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
    'restart')
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
    'diff')
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
    'apply')
        flags=(
            '--dry-run	Print what would be done, and do nothing'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--root dir'
        )
        ;;
    'daemon')
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
    'external')
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
            'on,off'
        )
        ;;
    'export')
        flags=(
            '--format	For which program: haproxy, keepalived, nginx, or json for others'
            '--endpoint	Have it ask the health endpoints of the servers instead of their services'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--format haproxy,keepalived,nginx,json'
            '--root dir'
        )
        ;;
    'endpoint')
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
    *) return 1 ;;
    esac
}

# Is the word after the flag $1 its value? Sets kind.
_iwx_lb_takes() {
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
_iwx_lb_offer() {
    local value help
    while IFS=$'\t' read -r value help; do
        [[ $1$value == "$cur"* ]] || continue
        value=$1$value
        COMPREPLY+=("${value#"$done"}")
        helps+=("$help")
    done
}

# Offers the values of a kind, each with $2 in front.
_iwx_lb_values() {
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
    command) _iwx_lb_offer "$2" < <(compgen -c -- "$part" | sort -u) ;;
    user) _iwx_lb_offer "$2" < <(compgen -u -- "$part") ;;
    group) _iwx_lb_offer "$2" < <(compgen -g -- "$part") ;;
    *,*) _iwx_lb_offer "$2" < <(printf '%s\n' "${1//,/$'\n'}") ;;
    *) _iwx_lb_offer "$2" < <("${words[0]/#\~/$HOME}" __complete "$1" 2>/dev/null) ;;
    esac
}

# The command that begins at word $1 is completed as if it stood alone.
_iwx_lb_command() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif (($1 == COMP_CWORD)); then
        _iwx_lb_values command ''
    else
        _iwx_lb_values file ''
    fi
}

# Descriptions are shown in a list, not where a word is inserted.
_iwx_lb_describe() {
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

_iwx_lb() {
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

    _iwx_lb_spec ''
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ $value ]]; then
            value=
        elif [[ ! $literal && $word == -- ]]; then
            literal=1
        elif [[ ! $literal && $word == -?* ]]; then
            _iwx_lb_takes "$word" && value=1
        elif ((${#verbs[@]})) && _iwx_lb_spec "${path:+$path }$word"; then
            path=${path:+$path }$word
        else
            ((count++ == 0)) && first=$i
            _iwx_lb_spec "$path"
            [[ ${args[0]} == command... ]] && literal=1
        fi
    done

    if [[ $value ]]; then
        _iwx_lb_values "$kind" ''
    elif [[ ! $literal && $cur == --*=* ]]; then
        _iwx_lb_takes "${cur%%=*}" && _iwx_lb_values "$kind" "${cur%%=*}="
    elif [[ ! $literal && $cur == -* ]]; then
        _iwx_lb_offer '' < <(printf '%s\n' "${flags[@]}")
    elif ((${#verbs[@]})); then
        _iwx_lb_offer '' < <(printf '%s\n' "${verbs[@]}")
    elif ((${#args[@]})); then
        ((count < ${#args[@]})) && kind=${args[count]} || kind=${args[${#args[@]}-1]}
        if [[ $kind == command... ]]; then
            ((count)) || first=$COMP_CWORD
            ((count)) && first=$((COMP_CWORD - (${#words[@]} - 1 - first)))
            _iwx_lb_command "$first"
        elif ((count < ${#args[@]})) || [[ $kind == *... ]]; then
            _iwx_lb_values "${kind%...}" ''
        fi
    fi
    _iwx_lb_describe
}
complete -F _iwx_lb iwx-lb
