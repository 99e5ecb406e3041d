package explain

import (
	"strings"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// argument returns text for use as a command-line argument, or "..." if that is unsafe. Claims are
// unverified, so text could be an option, a shell expansion, or the URL of a file that the AWS CLI
// would read.
func argument(text string) string {
	if !plainArgument.MatchString(text) || strings.Contains(text, "://") && !strings.HasPrefix(text, "https://") {
		return "..."
	}
	return text
}

var plainArgument = lazyregexp.New(`^[A-Za-z0-9/][A-Za-z0-9._/:=+@-]*$`)

// kubectl returns a kubectl command for an object named in the token. It returns "" if the name is
// not valid, or if the token is not from a file, because a token function may return tokens of
// another program.
func (f Facts) kubectl(command, name, change string) string {
	namespace := f.Claims.Namespace
	if f.TokenFile == "" || !objectName.MatchString(name) || !objectName.MatchString(namespace) {
		return ""
	}
	return "kubectl " + command + " " + name + change + " --namespace " + namespace
}

// objectName matches names of pods, service accounts and namespaces.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
var objectName = lazyregexp.New(`^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$`)
