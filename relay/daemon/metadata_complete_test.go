package daemon_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"waxwing/core/content"
	"waxwing/core/devicesync"
	"waxwing/core/ids"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
	"waxwing/sealedsender"
)

// fieldNames are the fields that a layout has; lists stand for their elements.
func fieldNames(rows []wire.Row) (out []string) {
	for _, r := range rows {
		if !strings.HasSuffix(r.Size, " elements") && !slices.Contains(out, r.Name) {
			out = append(out, r.Name)
		}
	}
	slices.Sort(out)
	return out
}

func (a allowList) fields(place string) (out []string) {
	for f := range a[place] {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}

// TestMetadataIsComplete holds docs/metadata.md to the code: also what no run
// comes upon has its rows, and no row is of something that there is not.
func TestMetadataIsComplete(t *testing.T) {
	a := loadAllowList(t)
	known := map[string]bool{"memory": true, "output": true}
	same := func(place string, got, want []string) {
		known[place] = true
		if !slices.Equal(got, want) {
			t.Errorf("%s has the fields\n%q, not\n%q", place, got, want)
		}
	}
	for i := range 256 {
		s := newFrame(wire.FrameType(i))
		if s == nil {
			continue
		}
		client, peer := "client frame "+frameName(s), "peer frame "+frameName(s)
		if a[client] == nil && a[peer] == nil {
			t.Errorf("there are no rows for the frame %s", frameName(s))
		}
		for _, place := range []string{client, peer} {
			if a[place] != nil {
				same(place, a.fields(place), fieldNames(wire.Layout(s)))
			}
		}
	}
	for name, s := range structures {
		same("in "+name, a.fields("in "+name), fieldNames(wire.Layout(s())))
	}
	for prefix, l := range documents {
		place := "document " + strings.TrimSuffix(prefix, "/")
		got := slices.DeleteFunc(a.fields(place), func(f string) bool { return strings.HasPrefix(f, "key.") || f == "row version" })
		s := l.value()
		if d, ok := s.(*deviceRecord); ok {
			d.hasSigned, d.hasLast = true, true
		}
		same(place, got, fieldNames(wire.Layout(s)))
	}
	for prefix := range pools {
		known["pool "+strings.TrimSuffix(prefix, "/")], known["item "+strings.TrimSuffix(prefix, "/")] = true, true
	}
	for place, fields := range a {
		for field, r := range fields {
			if r.into != "" && structures[r.into] == nil {
				t.Errorf("%s, %s: there is no structure %q", place, field, r.into)
			}
		}
		word, _, _ := strings.Cut(place, " ")
		if slices.Contains([]string{"client", "peer", "in", "document", "pool", "item"}, word) && !known[place] {
			t.Errorf("there is nothing like %q", place)
		}
	}
	checkKeys(t)
	checkLogCalls(t, a)
	for _, name := range literals(t, regexp.MustCompile(`^waxwing_\w+$`), "../node") {
		if a["metric "+name] == nil {
			t.Errorf("there are no rows for the metric %s", name)
		}
	}
	checkProfileTables(t)
	checkSealed(t)
}

// source calls f with the syntax of a package's files outside tests.
func source(t *testing.T, dir string, f func(ast.Node) bool) {
	t.Helper()
	set := token.NewFileSet()
	found := 0
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && path != dir {
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err == nil {
			found++
			ast.Inspect(file, f)
		}
		return err
	}))
	if found == 0 {
		t.Fatalf("no source in %s", dir)
	}
}

// literals returns the texts in some packages that fit a pattern.
func literals(t *testing.T, pattern *regexp.Regexp, dirs ...string) (out []string) {
	t.Helper()
	for _, dir := range dirs {
		source(t, dir, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil && pattern.MatchString(s) {
					out = append(out, s)
				}
			}
			return true
		})
	}
	if len(out) == 0 {
		t.Fatalf("nothing like %s in %s", pattern, dirs)
	}
	return out
}

// checkKeys: every key of the store that the code builds is one of those that
// this test can read.
func checkKeys(t *testing.T) {
	for _, prefix := range literals(t, regexp.MustCompile(`^[a-z]+/[a-z]+/$`), "../../core/directory", "../../core/mailbox", "..", "../node") {
		if _, ok := documents[prefix]; !ok && pools[prefix] == nil {
			t.Errorf("rows under %q are read by nobody here", prefix)
		}
	}
}

// loggedTexts are calls whose text is no literal, by their place; the texts have
// rows of their own.
var loggedTexts = []string{"s.log.Warn(w)"}

// checkLogCalls: every message of the server's log has a row with its fields.
func checkLogCalls(t *testing.T, a allowList) {
	calls := 0
	for _, dir := range []string{".", "..", "../node", "../quicnet", "../admin", "../../core/store/badgerstore", "../../core/directory", "../../core/mailbox"} {
		source(t, dir, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error", "Log", "LogAttrs", "DebugContext", "InfoContext", "WarnContext", "ErrorContext"}, sel.Sel.Name) {
				return true
			}
			if show(sel) == "http.Error" {
				return true
			}
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == "slog" {
				t.Errorf("%s: logs past the configured logger", dir)
			}
			calls++
			text, ok := literal(call.Args[0])
			if !ok {
				if shown := show(call); !slices.Contains(loggedTexts, shown) {
					t.Errorf("%s: %s logs a text that is no literal", dir, shown)
				}
				return true
			}
			rules, _ := a.place("log " + text)
			if rules == nil {
				t.Errorf("there is no row for the message %q", text)
			}
			for i := 1; i < len(call.Args); i += 2 {
				if name, ok := literal(call.Args[i]); !ok || rules[name] == nil {
					t.Errorf("there is no row for the field %q of the message %q", name, text)
				}
			}
			return true
		})
	}
	if calls < 10 {
		t.Errorf("only %d calls of a logger found", calls)
	}
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// show writes a call of simple parts.
func show(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return show(e.X) + "." + e.Sel.Name
	case *ast.CallExpr:
		var args []string
		for _, arg := range e.Args {
			args = append(args, show(arg))
		}
		return show(e.Fun) + "(" + strings.Join(args, ", ") + ")"
	}
	return fmt.Sprintf("%T", e)
}

// block returns the rows of a table behind a marker, as fields by the names in
// the first column.
func block(t *testing.T, name string) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(metadataPath)
	must(t, err)
	_, rest, ok := strings.Cut(string(b), "<!-- "+name+" -->\n")
	text, _, ok2 := strings.Cut(rest, "<!-- end -->")
	if !ok || !ok2 {
		t.Fatalf("metadata.md has no block %q", name)
	}
	out := map[string][]string{}
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if i < 2 {
			continue
		}
		if len(cells) != 5 || slices.ContainsFunc(cells, func(c string) bool { return strings.TrimSpace(c) == "" }) {
			t.Fatalf("metadata.md: %q has not five cells", line)
		}
		for table := range strings.SplitSeq(strings.TrimSpace(cells[0]), ", ") {
			out[table] = append(out[table], strings.Split(strings.TrimSpace(cells[1]), ", ")...)
		}
	}
	for _, fields := range out {
		slices.Sort(fields)
	}
	return out
}

// records are what the tables of a profile hold, by the names in tables.go.
// What depends on a field is there.
var records = map[string]wire.Schema{
	"Profile": new(state.Profile), "Counters": new(state.Counters), "Contact": &state.Contact{HasFirst: true},
	"Ref": new(state.Ref), "Blob": new(state.Blob), "Session": new(state.Session), "Peer": new(state.Peer), "Known": new(state.Known),
	"ticket.Held": new(ticket.Held), "Digest": new(state.Digest), "Message": new(state.Message),
	"Envelope": new(state.Envelope), "HeldDelivery": new(state.HeldDelivery), "ticket.Stocked": new(ticket.Stocked),
	"ticket.Given": &ticket.Given{Account: ids.MustParseAddress("alice@alpha.example")}, "Code": new(state.Code),
	"OwnKey": new(state.OwnKey), "Provider": new(state.Provider), "Strike": new(state.Strike), "Setting": new(state.Setting), "Hop": new(state.Hop),
	"MailboxKeys": new(state.MailboxKeys), "AccountKey": new(state.AccountKey), "Rotation": new(state.Rotation), "Token": new(state.Token), "Offer": new(state.Offer), "Ahead": new(state.Ahead), "Gathered": new(state.Gathered), "Want": new(state.Want), "Bundle": new(state.Bundle), "Proof": new(state.Proof), "Published": new(state.Published),
	"Membership": new(state.Membership), "Credential": new(state.Credential), "DoorCode": new(state.DoorCode), "Stamp": new(state.Stamp), "introduction.Share": new(introduction.Share),
	"SyncState": new(state.SyncState), "SyncItem": new(state.SyncItem), "SyncBatch": new(state.SyncBatch),
	"devicesync.Assembly": new(devicesync.Assembly), "Admission": new(state.Admission), "Submission": new(state.Submission), "Early": new(state.Early), "Told": new(state.Told),
}

// checkProfileTables: every table of a client's file and every field of it.
func checkProfileTables(t *testing.T) {
	rows := block(t, "profile")
	found := 0
	source(t, "../client/state", func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		index, ok := call.Fun.(*ast.IndexExpr)
		if !ok || show(index.X) != "newTable" && show(index.X) != "newNamed" {
			return true
		}
		found++
		name, _ := literal(call.Args[0])
		record := records[show(index.Index)]
		if record == nil {
			t.Errorf("the table %q has records %s, which are not known here", name, show(index.Index))
			return true
		}
		if want := fieldNames(wire.Layout(record)); !slices.Equal(rows[name], want) {
			t.Errorf("the table %q has the fields\n%q, not\n%q", name, rows[name], want)
		}
		delete(rows, name)
		return true
	})
	if found == 0 {
		t.Error("no tables found")
	}
	for name := range rows {
		t.Errorf("there is no table %q", name)
	}
}

// checkSealed: what travels between the clients.
func checkSealed(t *testing.T) {
	rows := block(t, "sealed")
	_, head, body := sealedsender.Layouts()
	question, answer := query.Layouts()
	for name, layout := range map[string][]wire.Row{
		"head": head, "body": body, "F": wire.Layout(new(content.Frame)), "grant": wire.Layout(new(ticket.Grant)),
		"question": question, "answer": answer,
	} {
		if want := fieldNames(layout); !slices.Equal(rows[name], want) {
			t.Errorf("%s has the fields\n%q, not\n%q", name, rows[name], want)
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("nothing sealed is called %q", name)
	}
}
