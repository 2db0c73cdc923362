// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jaegertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// maxTraces is how many traces Jaeger keeps, as jaeger.yaml says.
	maxTraces = 2000
	// maxAnswer is how many bytes of an answer are read; a larger one is an error.
	maxAnswer = 16 << 20
	// awaitWithin is how long Await waits.
	awaitWithin = 10 * time.Second
	// awaitEvery is how often Await looks.
	awaitEvery = 10 * time.Millisecond
)

// Services returns the names of the services that exported a span, sorted.
func (j *Jaeger) Services(ctx context.Context) ([]string, error) {
	names, err := ask[[]string](ctx, j, "/api/services", nil)
	slices.Sort(names)
	return names, err
}

// Find returns the traces that have a span of the service with all of the tags, as the page
// of Jaeger searches them, whenever it was; of every service for "". A tag is that of a
// span, an attribute of its resource or scope, or a field of one of its events. Traces are
// complete, and those that began earlier come first.
func (j *Jaeger) Find(ctx context.Context, service string, tags map[string]string) ([]Trace, error) {
	services := []string{service}
	if service == "" {
		var err error
		if services, err = j.Services(ctx); err != nil {
			return nil, err
		}
	}
	wanted, err := json.Marshal(tags)
	if err != nil {
		return nil, err
	}
	found := map[string]Trace{}
	for _, s := range services {
		traces, err := ask[[]shownTrace](ctx, j, "/api/traces", url.Values{
			"service": {s},
			"tags":    {string(wanted)},
			"limit":   {strconv.Itoa(maxTraces)},
			// From 1970 to 2255, in microseconds: about all that Jaeger can count.
			"start": {"0"},
			"end":   {"9000000000000000"},
		})
		if err != nil {
			return nil, err
		}
		for _, shown := range traces {
			t, err := shown.trace()
			if err != nil {
				return nil, err
			}
			found[t.ID] = t
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Trace) int {
		if c := a.Spans[0].Start.Compare(b.Spans[0].Start); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	}), nil
}

// Trace returns the trace with that id.
func (j *Jaeger) Trace(ctx context.Context, id string) (Trace, error) {
	traces, err := ask[[]shownTrace](ctx, j, "/api/traces/"+url.PathEscape(id), nil)
	if err != nil {
		return Trace{}, err
	}
	if len(traces) != 1 {
		return Trace{}, fmt.Errorf("%d traces with the id %s", len(traces), id)
	}
	return traces[0].trace()
}

// Await looks until Find finds what is enough, and returns it. It fails the test when that
// takes too long. Jaeger has what an export was answered for; what is awaited is an export.
func (j *Jaeger) Await(tb testing.TB, service string, tags map[string]string, enough func([]Trace) bool) []Trace {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), awaitWithin)
	defer cancel()
	tick := time.NewTicker(awaitEvery)
	defer tick.Stop()
	var last []Trace
	for {
		found, err := j.Find(ctx, service, tags)
		switch {
		case err == nil && enough(found):
			return found
		case err == nil:
			last = found
		case ctx.Err() == nil:
			tb.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("Jaeger has %d traces of the service %q with %v after %v, and they are not enough: %+v",
				len(last), service, tags, awaitWithin, last)
		}
	}
}

// Stored returns all that Jaeger has of a trace, the attributes of links included, as it was
// received, in the JSON form of OTLP within a member "result".
func (j *Jaeger) Stored(ctx context.Context, id string) ([]byte, error) {
	return j.get(ctx, "/api/v3/traces/"+url.PathEscape(id), url.Values{"raw_traces": {"true"}})
}

// Texts returns every name and every value of what [Jaeger.Stored] returns, decoded, for a
// test of what must not be in a trace. Bytes are as base64.
func (j *Jaeger) Texts(ctx context.Context, id string) ([]string, error) {
	b, err := j.Stored(ctx, id)
	if err != nil {
		return nil, err
	}
	var all []string
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if _, ok := token.(json.Delim); !ok {
			all = append(all, fmt.Sprint(token))
		}
	}
}

// ask gets the data of an answer of the query API, which may say that some is missing.
func ask[T any](ctx context.Context, j *Jaeger, path string, query url.Values) (data T, err error) {
	b, err := j.get(ctx, path, query)
	if err != nil {
		return data, err
	}
	var answer struct {
		Data   T                 `json:"data"`
		Errors []json.RawMessage `json:"errors"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return data, fmt.Errorf("answer to %s: %w", path, err)
	}
	if len(answer.Errors) > 0 {
		return data, fmt.Errorf("answer to %s: %s", path, answer.Errors)
	}
	return answer.Data, nil
}

// get gets what is at a path, and returns an error for every answer but 200.
func (j *Jaeger) get(ctx context.Context, path string, query url.Values) (_ []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.UI()+path+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := j.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("the answer to %s has more than %d bytes", path, maxAnswer)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: status %d: %.500s", path, resp.StatusCode, body)
	}
	return body, nil
}
