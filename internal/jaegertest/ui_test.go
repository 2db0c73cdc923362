// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jaegertest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/internal/jaegertest"
)

// get gets what is at a path of Jaeger's page, or of its query API.
func get(t *testing.T, j *jaegertest.Jaeger, path string) []byte {
	t.Helper()
	resp, err := http.Get(j.UI() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %.500s, %v", path, resp.StatusCode, body, err)
	}
	return body
}

// TestLinkPatterns has Jaeger serve the links that examples/jaeger-ui.json gives to a task's
// id, and follows each as the page does: what it opens asks the query API for the same.
func TestLinkPatterns(t *testing.T) {
	const (
		task   = "0b9f7a3c-52c4-4a0e-8f63-1f0a4f0d9b11"
		before = "JAEGER_CONFIG = "
	)
	file, err := filepath.Abs(filepath.Join("..", "..", "examples", "jaeger-ui.json"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	j := jaegertest.Start(t, "extensions.jaeger_query.ui.config_file="+file)

	type pattern struct {
		Type []string `json:"type"`
		Key  string   `json:"key"`
		URL  string   `json:"url"`
		Text string   `json:"text"`
	}
	var written, served struct {
		LinkPatterns []pattern `json:"linkPatterns"`
	}
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&written); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(get(t, j, "/search")), before)
	if err := json.NewDecoder(strings.NewReader(rest)).Decode(&served); err != nil {
		t.Fatalf("the page has no configuration: %v", err)
	}
	if diff := cmp.Diff(written, served); diff != "" {
		t.Errorf("the page has another configuration (-written +served):\n%s", diff)
	}

	parameter := regexp.MustCompile(`#\{([^}]*)\}`)
	for n, p := range written.LinkPatterns {
		if diff := cmp.Diff([]string{"tags", "logs"}, p.Type); diff != "" || p.Key != "ect.task.id" || p.Text == "" {
			t.Errorf("%+v is not for the tags and logs of ect.task.id, with a text", p)
		}
		link, err := url.Parse(parameter.ReplaceAllStringFunc(p.URL, func(name string) string {
			switch name {
			case "#{ect.task.id}":
				return url.QueryEscape(task)
			case "#{trace.traceID}":
				return traceID(n + 1)
			}
			t.Errorf("the page knows no %s", name)
			return ""
		}))
		if err != nil {
			t.Fatal(err)
		}
		service := link.Query().Get("service")
		if service == "" {
			service = "any"
		}
		// One span has the task, and another has it for a predecessor.
		export(t, j, map[string][]any{service: {
			span(n+1, 1, "task", now(), with("ect.task.id", task)),
			span(n+100, 1, "other", now(), with("ect.task.id", "another"), event(1, "ect.predecessor", "ect.task.id", task)),
		}})
		switch path := link.Path; {
		case path == "/search":
			answer := string(get(t, j, "/api/traces?"+link.RawQuery))
			if !strings.Contains(answer, traceID(n+1)) || !strings.Contains(answer, traceID(n+100)) {
				t.Errorf("%s finds %s, want the task and what followed it", link, answer)
			}
		case path == "/trace/"+traceID(n+1):
			if got, want := link.Query().Get("uiFind"), task; got != want {
				t.Errorf("%s looks for %q, want %q", link, got, want)
			}
			get(t, j, "/api/traces/"+traceID(n+1))
		default:
			t.Errorf("the page has no %s", link)
		}
	}
	if len(written.LinkPatterns) == 0 {
		t.Error("there is no pattern")
	}
}

// now has a span begin a second ago: the page looks no further back than it is told.
func now() part {
	return func(s map[string]any) {
		s["startTimeUnixNano"] = strconv.FormatInt(time.Now().Add(-time.Second).UnixNano(), 10)
		s["endTimeUnixNano"] = strconv.FormatInt(time.Now().UnixNano(), 10)
	}
}

// TestNoPage says that the Jaeger that make builds has no page, only its configuration.
func TestNoPage(t *testing.T) {
	j := jaegertest.Start(t)
	if page := string(get(t, j, "/")); !strings.Contains(page, "This is not the Jaeger UI you are looking for") {
		t.Errorf("the page is %.300s", page)
	}
}
