#compdef stratavore
# Completion of stratavore for zsh. What there is to be typed, stratavore itself says.

_stratavore() {
    local -a found described
    local line
    found=("${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ ${found[1]} == ":files" ]]; then
        _files
        return
    fi
    for line in "${found[@]}"; do
        [[ -n $line ]] && described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    _describe -V stratavore described
}

if [[ ${funcstack[1]} == _stratavore ]]; then
    _stratavore "$@"
else
    compdef _stratavore stratavore
fi
