# Completion of jdrec in bash. In ~/.bashrc:  eval "$(python -m jdrec --shell-completion install=bash)"
_jdrec_suggest() {
    local line=${COMP_LINE:0:COMP_POINT} words current prefix
    read -r -a words <<<"$line"
    [[ $line == *" " ]] && current="" || current=${words[-1]}
    mapfile -t COMPREPLY < <(COMP_LINE=${line#*"$2"} "${@:3}" --shell-completion query=bash 2>/dev/null)
    prefix=${current%"${current##*[=:]}"} # readline replaces only what follows the last = or :
    [[ $COMP_WORDBREAKS == *=* ]] && COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=./] ]] && compopt -o nospace
    return 0
}
_jdrec() {
    _jdrec_suggest "$1" "$1" "$1"
}
_jdrec_python() {
    if [[ ${COMP_WORDS[1]} == -m && ${COMP_WORDS[2]} == jdrec && $COMP_CWORD -gt 2 ]]; then
        _jdrec_suggest "$1" "-m jdrec" "$1" -m jdrec
    elif [[ -n $_JDREC_BEFORE ]]; then
        "$_JDREC_BEFORE" "$@"
    fi
}
_JDREC_BEFORE=$(complete -p python 2>/dev/null | sed -n 's/.*-F \([^ ]*\).*/\1/p')
[[ $_JDREC_BEFORE == _jdrec_python ]] && _JDREC_BEFORE=""
complete -o default -F _jdrec jdrec
complete -o default -o bashdefault -F _jdrec_python python python3
