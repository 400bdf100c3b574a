package daemon

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"waxwing/core/ids"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
)

// limitsKey is the table of limits in the file; dryRunKey and peerKey are the
// tables in it for dry runs and for values of single peers.
const (
	limitsKey = "limits"
	dryRunKey = "dry_run"
	peerKey   = "peer"
)

// LimitsConfig is how much accounts and peers may do: values instead of the
// defaults, written COUNT/UNIT,BURST with s, m, h or d for the unit; without a
// burst it is the count. Which limits there are is limits.All's to say.
type LimitsConfig struct {
	All   LimitValues
	Peers map[string]*LimitValues // by domain; only of limits whose scope is a peer
}

// LimitValues are the values of one place. Empty ones are not set.
type LimitValues struct {
	Value  [limits.End]string
	DryRun [limits.End]string // over it nothing is refused, but counted
}

// limitSettings are the settings of all limits that are not one peer's.
func limitSettings() (out []setting) {
	for n := range limits.End {
		out = append(out, setting{limitsKey + "." + n.String(), func(c *Config) *string { return &c.Limits.All.Value[n] }})
	}
	for n := range limits.End {
		if n.Promised() {
			continue // refused wherever else it is given
		}
		out = append(out, setting{limitsKey + "." + dryRunKey + "." + n.String(), func(c *Config) *string { return &c.Limits.All.DryRun[n] }})
	}
	return out
}

// limitNames lists the limits as the command line calls them.
var limitNames = func() (names []string) {
	for n := range limits.End {
		names = append(names, strings.ReplaceAll(n.String(), "_", "-"))
	}
	return names
}()

// places says where the keys of a file stand, by their parts with a zero byte
// between.
type places map[string]unstable.Position

func placesOf(text []byte) places {
	out := places{}
	var p unstable.Parser
	p.Reset(text)
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = out.note(&p, e, nil)
		case unstable.KeyValue:
			out.noteValue(&p, e, table)
		}
	}
	return out
}

// note remembers a key below a table and returns its parts.
func (m places) note(p *unstable.Parser, e *unstable.Node, table []string) []string {
	path := slices.Clone(table)
	for it := e.Key(); it.Next(); {
		path = append(path, string(it.Node().Data))
		if at := strings.Join(path, "\x00"); m[at].Line == 0 {
			m[at] = p.Shape(it.Node().Raw).Start
		}
	}
	return path
}

func (m places) noteValue(p *unstable.Parser, e *unstable.Node, table []string) {
	path := m.note(p, e, table)
	if v := e.Value(); v.Kind == unstable.InlineTable {
		for it := v.Children(); it.Next(); {
			m.noteValue(p, it.Node(), path)
		}
	}
}

// limitReader takes the table of limits out of a file.
type limitReader struct {
	file   string
	places places
	all    problems
}

func (r *limitReader) fail(path []string, text string) {
	at := r.places[strings.Join(path, "\x00")]
	r.all = append(r.all, fmt.Errorf("%s:%d:%d: %s: %s", r.file, at.Line, at.Column, strings.Join(path, "."), text))
}

// take reads [limits]. What is wrong with it is told with line and column.
func (c *LimitsConfig) take(file string, text []byte, table map[string]any) problems {
	r := &limitReader{file: file, places: placesOf(text)}
	path := []string{limitsKey}
	r.values(path, table, ids.Domain{}, &c.All, peerKey)
	if peers, ok := r.table(append(path, peerKey), table[peerKey]); ok {
		for _, name := range slices.Sorted(maps.Keys(peers)) {
			at := append(path, peerKey, name)
			domain, err := ids.ParseDomain(name)
			if err != nil {
				r.fail(at, "not the domain of a provider")
				continue
			}
			own, ok := r.table(at, peers[name])
			if !ok {
				continue
			}
			if c.Peers[domain.String()] != nil {
				r.fail(at, "the domain is given twice")
				continue
			}
			if c.Peers == nil {
				c.Peers = map[string]*LimitValues{}
			}
			v := new(LimitValues)
			r.values(at, own, domain, v)
			c.Peers[domain.String()] = v
		}
	}
	if len(c.Peers) > maxPeers {
		r.fail(append(path, peerKey), fmt.Sprintf("more than %d peers", maxPeers))
	}
	return r.all
}

// table returns a value that has to be a table; false also if there is none.
func (r *limitReader) table(path []string, v any) (map[string]any, bool) {
	if v == nil {
		return nil, false
	}
	t, ok := v.(map[string]any)
	if !ok {
		r.fail(path, "want a table of limits")
	}
	return t, ok
}

// values reads the values of one place, and of its dry run.
func (r *limitReader) values(path []string, table map[string]any, peer ids.Domain, into *LimitValues, others ...string) {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		switch {
		case slices.Contains(others, key):
		case key == dryRunKey:
			if dry, ok := r.table(append(path, key), table[key]); ok {
				for _, key := range slices.Sorted(maps.Keys(dry)) {
					r.value(append(path, dryRunKey, key), dry[key], limits.Target{Peer: peer, DryRun: true}, &into.DryRun)
				}
			}
		default:
			r.value(append(path, key), table[key], limits.Target{Peer: peer}, &into.Value)
		}
	}
}

func (r *limitReader) value(path []string, v any, t limits.Target, into *[limits.End]string) {
	text, isText := v.(string)
	var ok bool
	if t.Name, ok = limits.ParseName(path[len(path)-1]); !ok {
		r.fail(path, "there is no such limit")
		return
	}
	if !isText {
		r.fail(path, "want a string, \"COUNT/UNIT,BURST\" or, of a limit at once, \"COUNT\"")
		return
	}
	if _, err := resolveLimit(t, text); err != nil {
		r.fail(path, err.Error())
		return
	}
	into[t.Name] = text
}

// resolve checks all values.
func (c *LimitsConfig) resolve(k *checker) limits.Settings {
	out := limits.Settings{}
	add := func(key string, t limits.Target, text string) {
		if text == "" {
			return
		}
		l, err := resolveLimit(t, text)
		if err != nil {
			k.fail(key, err)
			return
		}
		out[t] = l
	}
	of := func(prefix string, peer ids.Domain, v *LimitValues) {
		for n := range limits.End {
			add(prefix+"."+n.String(), limits.Target{Name: n, Peer: peer}, v.Value[n])
			add(prefix+"."+dryRunKey+"."+n.String(), limits.Target{Name: n, Peer: peer, DryRun: true}, v.DryRun[n])
		}
	}
	of(limitsKey, ids.Domain{}, &c.All)
	for name, v := range c.Peers {
		prefix := limitsKey + "." + peerKey + "." + name
		peer, err := ids.ParseDomain(name)
		if err != nil {
			k.fail(prefix, err)
			continue
		}
		of(prefix, peer, v)
	}
	return out
}

// told describes the values of single peers, for check-config.
func (c *LimitsConfig) told(out map[string]string) {
	for name, v := range c.Peers {
		for n := range limits.End {
			for key, text := range map[string]string{n.String(): v.Value[n], dryRunKey + "." + n.String(): v.DryRun[n]} {
				if text != "" {
					out[limitsKey+"."+peerKey+"."+name+"."+key] = text + " (" + fromFile + ")"
				}
			}
		}
	}
}

func resolveLimit(t limits.Target, text string) (l gcra.Limit, err error) {
	if l, err = t.Name.Parse(text); err == nil {
		err = t.Check(l)
	}
	if errors.Is(err, limits.ErrTarget) {
		err = errors.New("it is no limit of peers and has no values for single ones")
	}
	return l, err
}

// limitTemplate shows every limit with its default, commented out.
func limitTemplate() string {
	var b strings.Builder
	for n := range limits.End {
		i := &limits.All[n]
		fmt.Fprintf(&b, "#%-50s # %s\n", fmt.Sprintf("%s = %q", i.Key, limits.Format(i.Default)), i.What)
	}
	return b.String()
}

// dryRunTemplate shows every limit as one for a dry run.
func dryRunTemplate() string {
	var b strings.Builder
	for n := range limits.End {
		if !n.Promised() {
			fmt.Fprintf(&b, "#%s = %q\n", n, limits.Format(limits.All[n].Default))
		}
	}
	return b.String()
}
