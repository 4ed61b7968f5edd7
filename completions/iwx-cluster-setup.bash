# bash completion for iwx-cluster-setup, generated from its grammar

# Sets what follows the verb $1: verbs and flags with descriptions,
# flags that take a value, and the arguments.
_iwx_cluster_setup_spec() {
    verbs=() flags=() takes=() args=()
    case $1 in
    '')
        verbs=(
            'manager	Make this server the manager of a new cluster'
            'node	Make this server a node, with a token from the manager'
            'preflight	Check whether this server meets the requirements'
            'status	Report the setup of this server, and its problems'
            'profile	Converge this server to its profile now'
            'quorum-ip	Move the cluster to another address of its manager'
            'renew	Renew the certificate of this server now'
            'backup	Write an encrypted backup of the manager to a file'
            'restore	Make this server the manager again, from a backup'
            'reset	Undo the setup of this server'
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
    'manager')
        flags=(
            '--quorum-ip	Address of this server that the nodes reach it by'
            '--name	Name of the cluster; without it, the host name'
            '--address	With --root: the server'\''s own address, beside the quorum IP'
            '--ignore	Go on although this check fails'
            '--dry-run	Make the checks, print what would be done, and do nothing'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--quorum-ip address'
            '--name '
            '--address address'
            '--ignore check'
            '--root dir'
        )
        ;;
    'node')
        flags=(
            '--address	With --root: the server'\''s own address'
            '--ignore	Go on although this check fails, here or on the manager'
            '--dry-run	Make the checks, print what would be done, and do nothing'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--address address'
            '--ignore check'
            '--root dir'
        )
        args=(
            'file'
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
            '--role	The server'\''s future role: manager or node. Without it, its present role; else a node, or with --quorum-ip a manager'
            '--quorum-ip	Manager: the address at which nodes connect to it'
            '--manager	Node: ask the manager at this address too, with its port if it is not the default'
            '--address	With --root: the server'\''s own address'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--columns '
            '-o '
            '--role '
            '--quorum-ip address'
            '--manager '
            '--address address'
            '--root dir'
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
    'profile')
        flags=(
            '--dry-run	Print what would change, and do nothing'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--root dir'
        )
        ;;
    'quorum-ip')
        flags=(
            '--port	Port of the API there; without it, the one it has'
            '--drop-old	Manager: answer at the old address no longer, whoever does not know the new one'
            '--timeout	Manager: wait no longer than this for the nodes; the move goes on'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--port '
            '--timeout '
            '--root dir'
        )
        args=(
            'address'
        )
        ;;
    'renew')
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
    'backup')
        flags=(
            '--force	Replace the file if it is there'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--root dir'
        )
        args=(
            'file'
        )
        ;;
    'restore')
        flags=(
            '--yes	Do not ask'
            '-y	Do not ask'
            '--key	File that holds the recovery key; - for standard input. Without it, the key is asked for'
            '--address	With --root: the server'\''s own address, beside the quorum IP'
            '--ignore	Go on although this check fails'
            '--force	Also on a server that is this cluster'\''s manager: entries queued since the backup are given up'
            '--dry-run	Verify the backup, make the checks, print what would be done, and do nothing'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--key file'
            '--address address'
            '--ignore check'
            '--root dir'
        )
        args=(
            'file'
        )
        ;;
    'reset')
        flags=(
            '--yes	Do not ask'
            '-y	Do not ask'
            '--local	Node: do not notify the manager, for a copy of a server that is to stay a node'
            '--force	Also a manager that has nodes'
            '--dry-run	Print what would be undone, and do nothing'
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
_iwx_cluster_setup_takes() {
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
_iwx_cluster_setup_offer() {
    local value help
    while IFS=$'\t' read -r value help; do
        [[ $1$value == "$cur"* ]] || continue
        value=$1$value
        COMPREPLY+=("${value#"$done"}")
        helps+=("$help")
    done
}

# Offers the values of a kind, each with $2 in front.
_iwx_cluster_setup_values() {
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
    command) _iwx_cluster_setup_offer "$2" < <(compgen -c -- "$part" | sort -u) ;;
    user) _iwx_cluster_setup_offer "$2" < <(compgen -u -- "$part") ;;
    group) _iwx_cluster_setup_offer "$2" < <(compgen -g -- "$part") ;;
    *,*) _iwx_cluster_setup_offer "$2" < <(printf '%s\n' "${1//,/$'\n'}") ;;
    *) _iwx_cluster_setup_offer "$2" < <("${words[0]/#\~/$HOME}" __complete "$1" 2>/dev/null) ;;
    esac
}

# The command that begins at word $1 is completed as if it stood alone.
_iwx_cluster_setup_command() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif (($1 == COMP_CWORD)); then
        _iwx_cluster_setup_values command ''
    else
        _iwx_cluster_setup_values file ''
    fi
}

# Descriptions are shown in a list, not where a word is inserted.
_iwx_cluster_setup_describe() {
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

_iwx_cluster_setup() {
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

    _iwx_cluster_setup_spec ''
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ $value ]]; then
            value=
        elif [[ ! $literal && $word == -- ]]; then
            literal=1
        elif [[ ! $literal && $word == -?* ]]; then
            _iwx_cluster_setup_takes "$word" && value=1
        elif ((${#verbs[@]})) && _iwx_cluster_setup_spec "${path:+$path }$word"; then
            path=${path:+$path }$word
        else
            ((count++ == 0)) && first=$i
            _iwx_cluster_setup_spec "$path"
            [[ ${args[0]} == command... ]] && literal=1
        fi
    done

    if [[ $value ]]; then
        _iwx_cluster_setup_values "$kind" ''
    elif [[ ! $literal && $cur == --*=* ]]; then
        _iwx_cluster_setup_takes "${cur%%=*}" && _iwx_cluster_setup_values "$kind" "${cur%%=*}="
    elif [[ ! $literal && $cur == -* ]]; then
        _iwx_cluster_setup_offer '' < <(printf '%s\n' "${flags[@]}")
    elif ((${#verbs[@]})); then
        _iwx_cluster_setup_offer '' < <(printf '%s\n' "${verbs[@]}")
    elif ((${#args[@]})); then
        ((count < ${#args[@]})) && kind=${args[count]} || kind=${args[${#args[@]}-1]}
        if [[ $kind == command... ]]; then
            ((count)) || first=$COMP_CWORD
            ((count)) && first=$((COMP_CWORD - (${#words[@]} - 1 - first)))
            _iwx_cluster_setup_command "$first"
        elif ((count < ${#args[@]})) || [[ $kind == *... ]]; then
            _iwx_cluster_setup_values "${kind%...}" ''
        fi
    fi
    _iwx_cluster_setup_describe
}
complete -F _iwx_cluster_setup iwx-cluster-setup
