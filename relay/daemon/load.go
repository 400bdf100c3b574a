package daemon

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

const (
	// envPrefix begins the names of environment variables that configure.
	envPrefix = "WAXWING_"
	// envFile ends those that name a file with the value, for what is mounted
	// as a file.
	envFile = "_FILE"
	// maxConfigSize bounds a configuration file: many times one with a thousand
	// peers.
	maxConfigSize = 1 << 20
	// maxValueSize bounds a file with one value.
	maxValueSize = 64 << 10
)

// Where a setting can come from, besides its default.
const (
	fromFile    = "file"
	fromEnv     = "environment"
	fromCommand = "command line"
)

// loaded is a configuration with where it comes from.
type loaded struct {
	Config
	file     string            // its file; empty if there is none
	from     map[string]string // source by key, of what is set
	warnings []string
}

// problems are all that is wrong with a configuration.
type problems []error

func (p problems) Error() string {
	lines := make([]string, len(p))
	for i, err := range p {
		lines[i] = "\n  " + err.Error()
	}
	return fmt.Sprintf("%d mistakes:", len(p)) + strings.Join(lines, "")
}

func (p problems) Unwrap() []error { return p }

// sources says where to look for a configuration.
type sources struct {
	data   string // data directory; empty if it is to come from the file
	file   string // configuration file; empty for the one in the data directory
	getenv func(string) (string, bool)
	env    []string // all of the environment, for names that nothing reads
}

// environment returns sources that read the process's environment.
func environment(data, file string) sources {
	return sources{data: data, file: file, getenv: os.LookupEnv, env: os.Environ()}
}

// load reads the file, if there is one, and what the environment overrides.
// The error is problems, or that of the file system.
func (s sources) load() (*loaded, error) {
	l := &loaded{from: map[string]string{}}
	var all problems
	overrides, warnings, err := s.overrides()
	all = append(all, err...)
	l.warnings = warnings
	onCommand := s.data != ""
	if !onCommand {
		s.data = overrides["data"]
	}
	if s.file == "" {
		s.file, _ = s.getenv(envPrefix + "CONFIG")
	}
	named := s.file != ""
	if !named && s.data != "" {
		s.file = filepath.Join(s.data, configName)
	}
	if s.file != "" {
		switch err := l.read(s.file); {
		case errors.Is(err, fs.ErrNotExist) && !named: // all defaults
		case err != nil:
			var more problems
			if !errors.As(err, &more) {
				return nil, err
			}
			all = append(all, more...)
		}
	}
	l.note(fromFile)
	l.anchor()
	for _, set := range settings {
		if v, ok := overrides[set.key]; ok {
			*set.in(&l.Config) = v
			l.from[set.key] = fromEnv
		}
	}
	all = append(all, l.lists(overrides)...)
	if onCommand {
		l.Data, l.from["data"] = s.data, fromCommand
	}
	if len(all) > 0 {
		return nil, all
	}
	return l, nil
}

// read parses the file strictly. The error is problems, each with its line and
// column, or that of the file system.
func (l *loaded) read(path string) error {
	b, err := readBounded(path, maxConfigSize)
	if err != nil {
		return err
	}
	return l.parse(path, b)
}

// parse is read of a file's content. The error is problems.
func (l *loaded) parse(path string, b []byte) error {
	l.file = path
	// The limits are a table of strings here, because which there are is not
	// this package's to say.
	file := struct {
		Config
		Limits map[string]any `toml:"limits"`
	}{Config: l.Config}
	err := toml.NewDecoder(strings.NewReader(string(b))).DisallowUnknownFields().Decode(&file)
	l.Config = file.Config
	var unknown *toml.StrictMissingError
	var bad *toml.DecodeError
	switch {
	case errors.As(err, &unknown):
		var all problems
		for i := range unknown.Errors {
			e := &unknown.Errors[i]
			all = append(all, at(path, e, fmt.Sprintf("there is no setting %q", strings.Join(e.Key(), "."))))
		}
		return all
	case errors.As(err, &bad):
		return problems{at(path, bad, strings.TrimPrefix(bad.Error(), "toml: "))}
	case err != nil:
		return problems{fmt.Errorf("%s: %w", path, err)}
	}
	if all := l.Limits.take(path, b, file.Limits); len(all) > 0 {
		return all
	}
	return nil
}

func at(path string, e *toml.DecodeError, text string) error {
	line, column := e.Position()
	return fmt.Errorf("%s:%d:%d: %s", path, line, column, text)
}

// note remembers what is set so far.
func (l *loaded) note(source string) {
	for _, set := range settings {
		if *set.in(&l.Config) != "" {
			l.from[set.key] = source
		}
	}
	if len(l.Endpoints) > 0 {
		l.from["endpoints"] = source
	}
	if len(l.Peers) > 0 {
		l.from["peers"] = source
	}
}

// anchor makes the paths in the file relative to the file, and the data
// directory the file's own by default.
func (l *loaded) anchor() {
	if l.file == "" {
		return
	}
	dir := filepath.Dir(l.file)
	for _, p := range []*string{&l.Data, &l.AdminSocket, &l.KeyEncryptionKeyFile} {
		if *p != "" && *p != none && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	if l.Data == "" {
		l.Data = dir
	}
}

// overrides reads the environment: values by key. Names that nothing reads are
// warned of.
func (s sources) overrides() (values map[string]string, warnings []string, all problems) {
	values = map[string]string{}
	read := []string{envPrefix + "CONFIG"}
	keys := []string{"endpoints", "peers"}
	for _, set := range settings {
		keys = append(keys, set.key)
	}
	for _, key := range keys {
		name := (&setting{key: key}).variable()
		read = append(read, name, name+envFile)
		v, ok := s.getenv(name)
		path, okFile := s.getenv(name + envFile)
		switch {
		case ok && okFile:
			all = append(all, fmt.Errorf("%s and %s are both set: unset one", name, name+envFile))
		case okFile:
			b, err := readBounded(path, maxValueSize)
			if err != nil {
				all = append(all, fmt.Errorf("%s: %w", name+envFile, err))
				continue
			}
			values[key] = strings.TrimRight(string(b), "\r\n")
		case ok:
			values[key] = v
		}
	}
	for _, e := range s.env {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, envPrefix) && !slices.Contains(read, name) && !slices.Contains(otherVariables, name) {
			warnings = append(warnings, fmt.Sprintf("the environment variable %s configures nothing", name))
		}
	}
	return values, warnings, all
}

// otherVariables are read by other parts of the module.
var otherVariables = []string{"WAXWING_VECTORS"}

// lists takes the lists of the environment: endpoints with commas between,
// peers as --peer has them, with spaces between.
func (l *loaded) lists(values map[string]string) (all problems) {
	if v, ok := values["endpoints"]; ok {
		l.Endpoints = strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' })
		l.from["endpoints"] = fromEnv
	}
	if v, ok := values["peers"]; ok {
		l.Peers = nil
		l.from["peers"] = fromEnv
		for _, s := range strings.Fields(v) {
			p, err := splitPeer(s)
			if err != nil {
				all = append(all, fmt.Errorf("peers: %w", err))
				continue
			}
			l.Peers = append(l.Peers, p)
		}
	}
	return all
}

// readBounded reads a whole file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return b, err
}
