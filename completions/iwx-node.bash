# bash completion for iwx-node, generated from its grammar

# Sets what follows the verb $1: verbs and flags with descriptions,
# flags that take a value, and the arguments.
_iwx_node_spec() {
    verbs=() flags=() takes=() args=()
    case $1 in
    '')
        verbs=(
            'add	Invite a server to join: print a token'
            'token	The tokens that servers join with'
            'list	List the nodes'
            'show	Show everything about a node'
            'status	Show the state of the nodes'
            'drain	Give a node no new connections'
            'undrain	Give it new connections again'
            'edit	Give a node another address'
            'delete	Take a node out of the cluster'
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
            '--ttl	How long the token can be used'
            '--address	The token is good from this address only'
            '--from	Where the node starts in the queue: now or beginning'
            '--rejoin	The name is a member'\''s: the server takes its place'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--ttl '
            '--address '
            '--from now,beginning'
            '--root dir'
        )
        args=(
            ''
        )
        ;;
    'token')
        verbs=(
            'list	List the tokens'
            'revoke	Make a token void'
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
    'token list')
        flags=(
            '--no-header	For scripts: no header, columns separated by one tab'
            '-H	For scripts: no header, columns separated by one tab'
            '--columns	Print only these columns, in this order'
            '-o	Print only these columns, in this order'
            '--exact	Print exact numbers and RFC 3339 times'
            '-p	Print exact numbers and RFC 3339 times'
            '--json	Print JSON'
            '--open	Only those that can still be used'
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
    'token revoke')
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
            'token'
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
            '--all	Those that left or were deleted, too'
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
            'node'
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
        args=(
            'node...'
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
        )
        ;;
    'edit')
        flags=(
            '--address	The node'\''s new address'
            '--dry-run	Print what would change, and do nothing'
            '--wait	Wait until the node has moved'
            '--timeout	Wait no longer than this; the move goes on. Implies --wait'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--address '
            '--timeout '
            '--root dir'
        )
        args=(
            'node'
        )
        ;;
    'delete')
        flags=(
            '--yes	Do not ask'
            '-y	Do not ask'
            '--force	Delete it at once, without notifying it'
            '--timeout	Wait no longer than this; the node goes on leaving'
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
        )
        ;;
    *) return 1 ;;
    esac
}

# Is the word after the flag $1 its value? Sets kind.
_iwx_node_takes() {
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
_iwx_node_offer() {
    local value help
    while IFS=$'\t' read -r value help; do
        [[ $1$value == "$cur"* ]] || continue
        value=$1$value
        COMPREPLY+=("${value#"$done"}")
        helps+=("$help")
    done
}

# Offers the values of a kind, each with $2 in front.
_iwx_node_values() {
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
    command) _iwx_node_offer "$2" < <(compgen -c -- "$part" | sort -u) ;;
    user) _iwx_node_offer "$2" < <(compgen -u -- "$part") ;;
    group) _iwx_node_offer "$2" < <(compgen -g -- "$part") ;;
    *,*) _iwx_node_offer "$2" < <(printf '%s\n' "${1//,/$'\n'}") ;;
    *) _iwx_node_offer "$2" < <("${words[0]/#\~/$HOME}" __complete "$1" 2>/dev/null) ;;
    esac
}

# The command that begins at word $1 is completed as if it stood alone.
_iwx_node_command() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif (($1 == COMP_CWORD)); then
        _iwx_node_values command ''
    else
        _iwx_node_values file ''
    fi
}

# Descriptions are shown in a list, not where a word is inserted.
_iwx_node_describe() {
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

_iwx_node() {
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

    _iwx_node_spec ''
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ $value ]]; then
            value=
        elif [[ ! $literal && $word == -- ]]; then
            literal=1
        elif [[ ! $literal && $word == -?* ]]; then
            _iwx_node_takes "$word" && value=1
        elif ((${#verbs[@]})) && _iwx_node_spec "${path:+$path }$word"; then
            path=${path:+$path }$word
        else
            ((count++ == 0)) && first=$i
            _iwx_node_spec "$path"
            [[ ${args[0]} == command... ]] && literal=1
        fi
    done

    if [[ $value ]]; then
        _iwx_node_values "$kind" ''
    elif [[ ! $literal && $cur == --*=* ]]; then
        _iwx_node_takes "${cur%%=*}" && _iwx_node_values "$kind" "${cur%%=*}="
    elif [[ ! $literal && $cur == -* ]]; then
        _iwx_node_offer '' < <(printf '%s\n' "${flags[@]}")
    elif ((${#verbs[@]})); then
        _iwx_node_offer '' < <(printf '%s\n' "${verbs[@]}")
    elif ((${#args[@]})); then
        ((count < ${#args[@]})) && kind=${args[count]} || kind=${args[${#args[@]}-1]}
        if [[ $kind == command... ]]; then
            ((count)) || first=$COMP_CWORD
            ((count)) && first=$((COMP_CWORD - (${#words[@]} - 1 - first)))
            _iwx_node_command "$first"
        elif ((count < ${#args[@]})) || [[ $kind == *... ]]; then
            _iwx_node_values "${kind%...}" ''
        fi
    fi
    _iwx_node_describe
}
complete -F _iwx_node iwx-node
