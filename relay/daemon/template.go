package daemon

import (
	_ "embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// template is the configuration that init writes: every setting, commented
// out, with its default. The limits are filled in by their table.
//
//go:embed waxwing.toml
var template string

// writeTemplate writes the configuration of a new provider, unless there is
// one, and returns its path.
func writeTemplate(dir, domain string) (string, error) {
	path := filepath.Join(dir, configName)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return path, nil
	}
	if err != nil {
		return "", err
	}
	text := strings.NewReplacer("DOMAIN", domain, "#LIMITS\n", limitTemplate(), "#DRY-RUN\n", dryRunTemplate(), "#REASONS\n", reasonTemplate()).Replace(template)
	_, err = f.WriteString(text)
	return path, errors.Join(err, f.Sync(), f.Close())
}
