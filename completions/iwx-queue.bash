# bash completion for iwx-queue, generated from its grammar

# Sets what follows the verb $1: verbs and flags with descriptions,
# flags that take a value, and the arguments.
_iwx_queue_spec() {
    verbs=() flags=() takes=() args=()
    case $1 in
    '')
        verbs=(
            'run	Run a command here, and on success cascade it to the nodes'
            'add	Queue a command for the nodes'
            'push	Queue files for the nodes, with their owner and mode'
            'list	List the entries of the queue'
            'show	Show everything about an entry'
            'status	Show the state of the nodes'\'' queues'
            'history	List the attempts, the newest first'
            'retry	Try a halted entry again at once'
            'skip	Let a node pass an entry by'
            'done	Record that an entry has taken effect on a node'
            'pause	Hold the queues of nodes still'
            'resume	Let paused queues go on'
            'release	Cascade a held command to the nodes'
            'cancel	Withdraw an entry from the nodes that have not done it'
            'wait	Wait until the nodes have done an entry'
            'log	Print the records of the log'
            'recover	After a restore: take back lost entries from the nodes'
            'accept	After a restore: give up lost entries of nodes'
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
    'run')
        flags=(
            '--node	Only this node. May be repeated'
            '-n	Only this node. May be repeated'
            '--baseline	Also for the nodes that join later'
            '--rolling	On so many nodes at a time, in the order of their names; a failure stops it'
            '--stdin	Standard input of the command: a file, or - for that of iwx-queue'
            '--timeout	End it after this time; 0 never. Without it, queue.timeout of iwx.toml(5)'
            '--env	Add to its environment. May be repeated'
            '--cwd	Run it in this directory; on the nodes / without it'
            '--rerun	It may run again when a crash leaves its outcome unknown'
            '--sensitive	Show it nowhere, and forget it once every node has done it'
            '--wait	Wait until the nodes have done it'
            '--wait-timeout	Wait no longer than this; the nodes go on. Implies --wait'
            '--yes	Do not ask'
            '-y	Do not ask'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--node node'
            '-n node'
            '--rolling '
            '--stdin file'
            '--timeout '
            '--env '
            '--cwd dir'
            '--wait-timeout '
            '--root dir'
        )
        args=(
            'command...'
        )
        ;;
    'add')
        flags=(
            '--node	Only this node. May be repeated'
            '-n	Only this node. May be repeated'
            '--baseline	Also for the nodes that join later'
            '--rolling	On so many nodes at a time, in the order of their names; a failure stops it'
            '--stdin	Standard input of the command: a file, or - for that of iwx-queue'
            '--timeout	End it after this time; 0 never. Without it, queue.timeout of iwx.toml(5)'
            '--env	Add to its environment. May be repeated'
            '--cwd	Run it in this directory; on the nodes / without it'
            '--rerun	It may run again when a crash leaves its outcome unknown'
            '--sensitive	Show it nowhere, and forget it once every node has done it'
            '--user	Run it as this user of the node, instead of root'
            '--umask	File mode creation mask, octal'
            '--json	Print the numbers in JSON'
            '--wait	Wait until the nodes have done it'
            '--wait-timeout	Wait no longer than this; the nodes go on. Implies --wait'
            '--yes	Do not ask'
            '-y	Do not ask'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--node node'
            '-n node'
            '--rolling '
            '--stdin file'
            '--timeout '
            '--env '
            '--cwd dir'
            '--user user'
            '--umask '
            '--wait-timeout '
            '--root dir'
        )
        args=(
            'command...'
        )
        ;;
    'push')
        flags=(
            '--node	Only this node. May be repeated'
            '-n	Only this node. May be repeated'
            '--baseline	Also for the nodes that join later'
            '--rolling	On so many nodes at a time, in the order of their names; a failure stops it'
            '--mode	Its mode on the nodes, octal, instead of the file'\''s own'
            '--owner	Its owner on the nodes, instead of the file'\''s own'
            '--check	Run this with sh(1) after writing; if it fails, the old file comes back'
            '--reload	Run this with sh(1) when the file is in place'
            '--timeout	End the checks after this time; 0 never. Without it, queue.timeout of iwx.toml(5)'
            '--json	Print the numbers in JSON'
            '--nodes-only	Run --check and --reload on the nodes alone, not here first'
            '--wait	Wait until the nodes have done it'
            '--wait-timeout	Wait no longer than this; the nodes go on. Implies --wait'
            '--yes	Do not ask'
            '-y	Do not ask'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--node node'
            '-n node'
            '--rolling '
            '--mode '
            '--owner user'
            '--check '
            '--reload '
            '--timeout '
            '--wait-timeout '
            '--root dir'
        )
        args=(
            'file...'
        )
        ;;
    'list')
        flags=(
            '--all	List every entry that is in the log'
            '--limit	List at most so many. Without it 20; all with --pending, --failed, -H, -p and --json'
            '--node	Only the entries for this node'
            '-n	Only the entries for this node'
            '--failed	Only the entries that a node halts at'
            '--pending	Only the entries that a node has not finished'
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
            '--limit '
            '--node node'
            '-n node'
            '--columns '
            '-o '
            '--root dir'
        )
        ;;
    'show')
        flags=(
            '--output	Print what the last attempt wrote on every node, not just where it failed'
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
            'entry'
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
    'history')
        flags=(
            '--node	Only attempts on this node'
            '-n	Only attempts on this node'
            '--entry	Only attempts of this entry'
            '-e	Only attempts of this entry'
            '--failed	Only those that did not succeed'
            '--since	Only those of the last hours or days: 12h, 7d'
            '--all	List every attempt that is kept'
            '--limit	List at most so many. Without it 50; all with -H, -p and --json'
            '--output	Print what the commands wrote'
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
            '--node node'
            '-n node'
            '--entry entry'
            '-e entry'
            '--since '
            '--limit '
            '--columns '
            '-o '
            '--root dir'
        )
        ;;
    'retry')
        flags=(
            '--all	Every node that is halted'
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
            'node...'
        )
        ;;
    'skip')
        flags=(
            '--reason	Why, for the record'
            '--yes	Do not ask'
            '-y	Do not ask'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--reason '
            '--root dir'
        )
        args=(
            'node'
            'entry'
        )
        ;;
    'done')
        flags=(
            '--reason	Why, for the record'
            '--yes	Do not ask'
            '-y	Do not ask'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--reason '
            '--root dir'
        )
        args=(
            'node'
            'entry'
        )
        ;;
    'pause')
        flags=(
            '--all	Every node'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--root dir'
        )
        args=(
            'node...'
        )
        ;;
    'resume')
        flags=(
            '--all	Every node'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--root dir'
        )
        args=(
            'node...'
        )
        ;;
    'release')
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
            'held'
        )
        ;;
    'cancel')
        flags=(
            '--reason	Why, for the record'
            '--yes	Do not ask'
            '-y	Do not ask'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--reason '
            '--root dir'
        )
        args=(
            'entry'
        )
        ;;
    'wait')
        flags=(
            '--timeout	Give up after this time; the nodes go on'
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
            'entry'
        )
        ;;
    'log')
        flags=(
            '--number	Begin with the last so many, 0 with the first that there is. Without it 50; all with -H, -p and --json'
            '-n	Begin with the last so many, 0 with the first that there is. Without it 50; all with -H, -p and --json'
            '--follow	Go on, and print new records as they come'
            '-f	Go on, and print new records as they come'
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
            '--number '
            '-n '
            '--columns '
            '-o '
            '--root dir'
        )
        ;;
    'recover')
        flags=(
            '--yes	Do not ask'
            '-y	Do not ask'
            '--dry-run	Print what would be taken back, and do nothing'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--root dir'
        )
        ;;
    'accept')
        flags=(
            '--yes	Do not ask'
            '-y	Do not ask'
            '--dry-run	Print what would be given up, and do nothing'
            '--root	Directory that holds this server'\''s files, instead of /'
            '--version	Print the version'
            '--help	Print this help'
            '-h	Print this help'
        )
        takes=(
            '--root dir'
        )
        args=(
            'node...'
        )
        ;;
    *) return 1 ;;
    esac
}

# Is the word after the flag $1 its value? Sets kind.
_iwx_queue_takes() {
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
_iwx_queue_offer() {
    local value help
    while IFS=$'\t' read -r value help; do
        [[ $1$value == "$cur"* ]] || continue
        value=$1$value
        COMPREPLY+=("${value#"$done"}")
        helps+=("$help")
    done
}

# Offers the values of a kind, each with $2 in front.
_iwx_queue_values() {
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
    command) _iwx_queue_offer "$2" < <(compgen -c -- "$part" | sort -u) ;;
    user) _iwx_queue_offer "$2" < <(compgen -u -- "$part") ;;
    group) _iwx_queue_offer "$2" < <(compgen -g -- "$part") ;;
    *,*) _iwx_queue_offer "$2" < <(printf '%s\n' "${1//,/$'\n'}") ;;
    *) _iwx_queue_offer "$2" < <("${words[0]/#\~/$HOME}" __complete "$1" 2>/dev/null) ;;
    esac
}

# The command that begins at word $1 is completed as if it stood alone.
_iwx_queue_command() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif (($1 == COMP_CWORD)); then
        _iwx_queue_values command ''
    else
        _iwx_queue_values file ''
    fi
}

# Descriptions are shown in a list, not where a word is inserted.
_iwx_queue_describe() {
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

_iwx_queue() {
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

    _iwx_queue_spec ''
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ $value ]]; then
            value=
        elif [[ ! $literal && $word == -- ]]; then
            literal=1
        elif [[ ! $literal && $word == -?* ]]; then
            _iwx_queue_takes "$word" && value=1
        elif ((${#verbs[@]})) && _iwx_queue_spec "${path:+$path }$word"; then
            path=${path:+$path }$word
        else
            ((count++ == 0)) && first=$i
            _iwx_queue_spec "$path"
            [[ ${args[0]} == command... ]] && literal=1
        fi
    done

    if [[ $value ]]; then
        _iwx_queue_values "$kind" ''
    elif [[ ! $literal && $cur == --*=* ]]; then
        _iwx_queue_takes "${cur%%=*}" && _iwx_queue_values "$kind" "${cur%%=*}="
    elif [[ ! $literal && $cur == -* ]]; then
        _iwx_queue_offer '' < <(printf '%s\n' "${flags[@]}")
    elif ((${#verbs[@]})); then
        _iwx_queue_offer '' < <(printf '%s\n' "${verbs[@]}")
    elif ((${#args[@]})); then
        ((count < ${#args[@]})) && kind=${args[count]} || kind=${args[${#args[@]}-1]}
        if [[ $kind == command... ]]; then
            ((count)) || first=$COMP_CWORD
            ((count)) && first=$((COMP_CWORD - (${#words[@]} - 1 - first)))
            _iwx_queue_command "$first"
        elif ((count < ${#args[@]})) || [[ $kind == *... ]]; then
            _iwx_queue_values "${kind%...}" ''
        fi
    fi
    _iwx_queue_describe
}
complete -F _iwx_queue iwx-queue
