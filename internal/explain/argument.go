package explain

import (
	"strings"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// argument returns text for use as a command-line argument. Claims are unverified, so it returns "..."
// if a shell or a command could take text for something other than a value: an option, an expansion,
// or the URL of a file that the AWS CLI would read.
func argument(text string) string {
	if !plainArgument.MatchString(text) || strings.Contains(text, "://") && !strings.HasPrefix(text, "https://") {
		return "..."
	}
	return text
}

var plainArgument = lazyregexp.New(`^[A-Za-z0-9/][A-Za-z0-9._/:=+@-]*$`)

// kubectl returns a command about an object named in the token. It returns "" if no object can have
// this name, or if the token is not from a file: a token function may return tokens that belong to
// another program.
func (f Facts) kubectl(command, name, change string) string {
	namespace := f.Claims.Namespace
	if f.TokenFile == "" || !objectName.MatchString(name) || !objectName.MatchString(namespace) {
		return ""
	}
	return "kubectl " + command + " " + name + change + " --namespace " + namespace
}

// objectName matches the names of pods, service accounts and namespaces.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
var objectName = lazyregexp.New(`^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$`)
