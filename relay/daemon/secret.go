package daemon

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"waxwing/relay/node"
)

// credential is the systemd credential that key files are wrapped under
// (LoadCredential= or LoadCredentialEncrypted= of the unit).
const credential = "waxwing-key-encryption-key"

// secretFile returns the file with the secret that key files are wrapped under:
// the one that is named, or the credential if there is one.
func secretFile(named string) string {
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); named == "" && dir != "" {
		path := filepath.Join(dir, credential)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return named
}

// readSecret reads it. An empty path is no secret.
func readSecret(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	secret, err := node.ReadSecret(path)
	if err != nil {
		return nil, &failure{
			ExitFailed, "cannot read the secret of the key files from " + path,
			fmt.Sprintf("give the server a file with %d bytes or more; 32 random ones: head -c 32 /dev/urandom | base64", node.MinSecret), err,
		}
	}
	return secret, nil
}

// exposed says that anybody may read the secret. Its group may be meant to:
// systemd lets the service's user read a credential in that way.
func exposed(path string) string {
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm()&0o007 == 0 {
		return ""
	}
	return fmt.Sprintf("anybody on this machine may read %s: chmod 600 it", path)
}

// initSecret returns the path for init, which reads no configuration.
func initSecret(flag string) string {
	return secretFile(cmp.Or(flag, os.Getenv(lookup("key_encryption_key_file").variable())))
}
