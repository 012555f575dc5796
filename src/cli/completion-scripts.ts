/** The shells that there are scripts for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const

/** One of {@link SHELLS}. */
export type Shell = (typeof SHELLS)[number]

// Each asks `snap completion words -- WORD...`, which answers with a line for each candidate: the word, a tab, what it means.
// Where there is none, the shell completes file names.

const BASH = `_snap() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("$(printf '%q' "\${line%%$'\\t'*}")")
  done < <("\${COMP_WORDS[0]}" completion words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o bashdefault -o default -F _snap snap influx-snap
`

const ZSH = `#compdef snap influx-snap
_snap() {
  local line
  local -a words_found abouts
  while IFS= read -r line; do
    words_found+=("\${line%%$'\\t'*}")
    abouts+=("\${line/$'\\t'/  }")
  done < <("\${words[1]}" completion words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#words_found} )); then
    compadd -l -d abouts -a words_found
  else
    _files
  fi
}
compdef _snap snap influx-snap
`

const FISH = `function __snap_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] completion words -- $words[2..-1] 2>/dev/null
end
complete -c snap -a '(__snap_complete)'
complete -c influx-snap -a '(__snap_complete)'
`

/** The script that makes a shell complete the words of snap. */
export const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH }
