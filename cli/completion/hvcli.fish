# SPDX-License-Identifier: Apache-2.0
# fish completion for hvcli: hvcli itself knows the words (cli/complete.c), and tells what they are.

function __hvcli_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l replies ($words[1] __complete $words[2..-1] 2>/dev/null)
    set -l files $status
    printf '%s\n' $replies
    test $files -eq 3; and __fish_complete_path (commandline -ct)
end

complete -c hvcli -f -a '(__hvcli_complete)'
