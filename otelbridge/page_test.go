// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/go-ect/ect/internal/readme"
	"github.com/go-ect/ect/otelbridge"
)

const page = "../docs/correlation.md"

func readPage(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPageHoldsTheExamples(t *testing.T) { readme.Check(t, page, "example_test.go", 2) }

// TestPageHoldsTheVectors holds the published pseudonyms against those of the table test, and
// the text on how the keys and the epochs are made against what that uses.
func TestPageHoldsTheVectors(t *testing.T) {
	text := readPage(t)
	rows := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| `") && strings.HasSuffix(line, "` |\n") &&
			(strings.Contains(line, " `2026-q3.") || strings.Contains(line, " `2026-q4.")) {
			rows++
		}
	}
	if rows != len(vectors) {
		t.Errorf("the page has %d pseudonyms, want %d", rows, len(vectors))
	}
	for _, v := range vectors {
		wid := "none"
		if v.workflow != "" {
			wid = "`" + v.workflow + "`"
		}
		if row := fmt.Sprintf("| `%s` | `%s` | %s | %s | `%s` |\n", v.claim, v.value, wid, v.issued, v.want); !strings.Contains(text, row) {
			t.Errorf("the page does not hold the line\n%s", row)
		}
		if v.taskID != taskID {
			t.Errorf("the page says that every jti is %s, and that of a vector is %s", taskID, v.taskID)
		}
	}
	for i, k := range keys() {
		if want := fmt.Sprintf("`%s` from %s", k.Epoch, k.From.Format("2006-01-02T15:04:05Z07:00")); !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
		first := byte(32 * i)
		if want := fmt.Sprintf("%02x, %02x, %02x to %02x", first, first+1, first+2, first+31); !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// TestPageRunsInAShell runs what the page tells to type.
func TestPageRunsInAShell(t *testing.T) {
	for _, program := range []string{"sh", "sed", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed; what the page tells to type is not run", program)
		}
	}
	text := readPage(t)
	_, rest, _ := strings.Cut(text, "\n```sh\n")
	script, after, ok := strings.Cut(rest, "\n```\n")
	if !ok || strings.Contains(after, "```sh") {
		t.Fatal("the page has no shell script, or more than one")
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eu")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := strings.TrimSpace(string(out))
	if got != vectors[0].want {
		t.Errorf("the script prints %q, want %q", got, vectors[0].want)
	}
	if !strings.Contains(after, "It prints `"+got+"`.") {
		t.Errorf("the page does not say that the script prints %s", got)
	}
}

// TestPageHoldsThePresets holds the table of presets against the presets.
func TestPageHoldsThePresets(t *testing.T) {
	text := readPage(t)
	header := "| preset |"
	for f := range reflect.TypeFor[otelbridge.Policy]().Fields() {
		if f.Name != "Keys" {
			header += " `" + f.Name + "` |"
		}
	}
	if !strings.Contains(text, header+"\n") {
		t.Errorf("the page does not hold the line\n%s", header)
	}
	for _, preset := range []struct {
		call string
		p    otelbridge.Policy
	}{
		{"ShowNothing()", otelbridge.ShowNothing()},
		{"ShowTasks()", otelbridge.ShowTasks()},
		{"ShowPseudonyms(keys...)", otelbridge.ShowPseudonyms(keys()...)},
		{"ShowEverything()", otelbridge.ShowEverything()},
	} {
		row := "| `" + preset.call + "` |"
		for _, v := range reflect.ValueOf(preset.p).Fields() {
			switch f := v.Interface().(type) {
			case fmt.Stringer:
				row += " " + f.String() + " |"
			case bool:
				row += map[bool]string{false: " no |", true: " yes |"}[f]
			}
		}
		if !strings.Contains(text, row+"\n") {
			t.Errorf("the page does not hold the line\n%s", row)
		}
	}
}

// TestPageNamesEverything holds that nothing can be shown, set or measured that the page is
// silent about.
func TestPageNamesEverything(t *testing.T) {
	text := readPage(t)
	fields := map[otelbridge.Claim]string{}
	for _, c := range otelbridge.Claims() {
		fields[c.Claim] = c.Field
	}
	for _, a := range otelbridge.Attributes() {
		want := "`" + string(a.Key) + "`"
		if a.Claim != 0 {
			want = fmt.Sprintf("| `%s` | `%s` | `%s` |\n", a.Key, fields[a.Claim], a.Claim)
		}
		if !strings.Contains(text, want) {
			t.Errorf("the page does not hold %s", want)
		}
	}
	for f := range reflect.TypeFor[otelbridge.Policy]().Fields() {
		if f.Name != "Keys" && !strings.Contains(text, "`"+f.Name+"`") && !strings.Contains(text, "`Policy."+f.Name+"`") {
			t.Errorf("the page is silent about Policy.%s", f.Name)
		}
	}
	for _, name := range []string{
		"Omit", "Pseudonym", "Plain", "LinksNone", "LinksSameWorkflow", "LinksSameTrustDomain", "LinksAny",
		"EdgeRestart", "EdgeLink", "EdgeContinue",
	} {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("the page is silent about %s", name)
		}
	}
}
