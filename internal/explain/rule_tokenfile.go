package explain

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/irsakit/irsakit/tokenfile"
)

// tokenFileRules apply if no token is available.
var tokenFileRules = []rule{
	{
		phrases: []string{"forbidden"}, when: func(f Facts) bool { return f.TokenFile == "" && strings.Contains(f.text(), "serviceaccounts") }, kind: ErrTokenFile, heading: HeadingTokenSource,
		fix:    "allow the program to create serviceaccounts/token in Kubernetes",
		text:   "Kubernetes denied the token request of Options.Token: allow the service account that the program runs as to create serviceaccounts/token for the service account in the error, with a Role and a RoleBinding",
		source: tokenRequestDocument,
	},
	{
		when: func(f Facts) bool { return f.TokenFile == "" }, kind: ErrTokenFile, heading: HeadingTokenSource,
		fix:  "correct the program's own token function, Options.Token",
		text: "the program's own token function, Options.Token, returned the error above: fix its cause, or the function",
	},
	{
		when: func(f Facts) bool { return errors.Is(f.Err, fs.ErrNotExist) }, kind: ErrTokenFile, heading: HeadingTokenMissing,
		fix:    "mount the IRSA token in this container",
		text:   "{missing}. If the container's own env contains AWS_ROLE_ARN or AWS_WEB_IDENTITY_TOKEN_FILE, remove both and recreate the pod{deletepod}, so that the webhook mounts the token. If you mount the token yourself, check that this container mounts the projected volume there",
		source: "https://github.com/boto/botocore/issues/2351",
	},
	{
		when: func(f Facts) bool { return errors.Is(f.Err, fs.ErrPermission) && f.File.onWindows() }, kind: ErrTokenFile, heading: HeadingTokenPermission,
		fix:    "check the file's access control list, and the user of the container",
		text:   "Windows denies the access: check the access control list of {tokenfile} and of the directories above it (icacls), and the user of the container (securityContext.windowsOptions.runAsUserName)",
		source: "https://kubernetes.io/docs/tasks/configure-pod-container/configure-runasusername/",
	},
	{
		when: func(f Facts) bool { return errors.Is(f.Err, fs.ErrPermission) && f.File.isReadable() }, kind: ErrTokenFile, heading: HeadingTokenPermission,
		fix:    "check the directory's mode, and SELinux or AppArmor on the node",
		text:   "{access}, so the mode of the file is not the cause: check the mode of the directories above it, and what SELinux or AppArmor denies on the node",
		source: "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
	},
	{
		when: func(f Facts) bool { return errors.Is(f.Err, fs.ErrPermission) && !f.File.Visible }, kind: ErrTokenFile, heading: HeadingTokenPermission,
		fix:    "check the mode of the directories above the token file",
		text:   "{access}: check the mode of the directories above the file, in the image and in its volumes, and what SELinux or AppArmor denies on the node",
		source: "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
	},
	{
		when: func(f Facts) bool { return errors.Is(f.Err, fs.ErrPermission) && f.File.NeverRenewed }, kind: ErrTokenFile, heading: HeadingTokenPermission,
		fix:    "make the token file readable for the process",
		text:   "{access}. If it is a file of a projected volume, mounted with subPath, set securityContext.fsGroup in the pod. Otherwise let the program that writes it make it readable for this user or group, and for no others",
		source: "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
	},
	{
		when: func(f Facts) bool { return errors.Is(f.Err, fs.ErrPermission) }, kind: ErrTokenFile, heading: HeadingTokenPermission,
		fix:    "set securityContext.fsGroup in the pod",
		text:   "{access}: set securityContext.fsGroup in the pod, so that the kubelet lets the process's group read the token",
		source: "https://github.com/aws/amazon-eks-pod-identity-webhook/issues/8",
	},
	{
		phrases: []string{"it begins with"}, kind: ErrTokenFile, heading: HeadingTokenMalformed,
		fix:  "write only the token into the file",
		text: "{tokenfile} must contain only the token, without quotes, JSON, Bearer, a byte order mark or base64 encoding: correct the program that writes it. In the response of the TokenRequest API, the token is status.token. In a Secret, it must be decoded",
	},
	{
		phrases: []string{"STS accepts 4 to 20000"}, kind: ErrTokenFile, heading: HeadingTokenMalformed,
		fix:  "shorten the token: STS accepts at most 20,000 bytes",
		text: "STS accepts tokens of 4 to 20,000 bytes: check which program writes {tokenfile}, and the claims that the issuer adds",
	},
	{
		when: func(f Facts) bool { return errors.Is(f.Err, tokenfile.ErrMalformed) }, kind: ErrTokenFile, heading: HeadingTokenMalformed,
		fix:    "check the path of the token file, and which program writes it",
		text:   "{tokenfile} must contain one JWT and nothing else. {otherfile}If the pod mounts no projected volume there, correct the program that writes the file; otherwise recreate the pod{deletepod}",
		source: "https://github.com/aws/amazon-eks-pod-identity-webhook/issues/232",
	},
	{
		when: func(f Facts) bool {
			return isErrno(f.Err, syscall.EIO, syscall.ESTALE, syscall.ENOTCONN, syscall.ETIMEDOUT)
		}, kind: ErrTokenFile, heading: HeadingTokenMalformed,
		fix:    "check the volume of the token file, and the node's log",
		text:   "the file system of {tokenfile} has failed: check the volume that is mounted there, and the log of the node. The library reads the file again. If the volume was mounted anew, recreate the pod{deletepod}",
		source: "https://man7.org/linux/man-pages/man3/errno.3.html",
	},
	{
		kind: ErrTokenFile, heading: HeadingTokenMalformed, fix: "set AWS_WEB_IDENTITY_TOKEN_FILE to the token file itself",
		text: "the path must be that of the token file itself: correct AWS_WEB_IDENTITY_TOKEN_FILE",
	},
}
