# Completion of jdrec in zsh. In ~/.zshrc, after compinit:  eval "$(python -m jdrec --shell-completion install=zsh)"
_jdrec_suggest() {
    local -a found
    found=("${(@f)$(COMP_LINE="$1" "${@:2}" --shell-completion query=zsh 2>/dev/null)}")
    found=(${found:#})
    if (( $#found )); then
        compadd -Q -S '' -- $found
    else
        compset -P '*='
        _files
    fi
}
_jdrec() {
    _jdrec_suggest "${(j: :)words[2,CURRENT]}" "$words[1]"
}
_jdrec_python() {
    if [[ $words[2] == -m && $words[3] == jdrec && $CURRENT -gt 3 ]]; then
        _jdrec_suggest "${(j: :)words[4,CURRENT]}" "$words[1]" -m jdrec
    else
        _files
    fi
}
compdef _jdrec jdrec
compdef _jdrec_python python python3
