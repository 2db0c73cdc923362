// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-ect/ect/core"
)

// handOver writes a file for a peer, and its tokens beside it: the tokens first, so that
// whoever sees the file finds them.
func handOver(ctx context.Context, path, to string, content []byte) error {
	beside := core.MapCarrier{}
	in := core.DispatchInput{Action: "hand_over", OutHash: core.HashOf(content)}
	if _, err := core.Inject(ctx, beside, to, in); err != nil {
		return err
	}
	tokens, err := json.Marshal(beside)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".ect", tokens, 0o600); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// takeOver reads a file and starts the task that works on it. What is hashed is what was
// read, and what is worked on.
func takeOver(ctx context.Context, s *core.Service, path string) (context.Context, *core.Task, []byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return ctx, nil, nil, err
	}
	tokens, err := os.ReadFile(path + ".ect")
	if err != nil {
		return ctx, nil, nil, err
	}
	beside := core.MapCarrier{}
	if err := json.Unmarshal(tokens, &beside); err != nil {
		return ctx, nil, nil, err
	}
	ctx, task, err := core.Extract(ctx, s, beside, core.ExtractInput{Action: "publish", Content: core.HashOf(content)})
	return ctx, task, content, err
}

// A file whose tokens are stored beside it: changed, it is refused; as it was handed over,
// it is worked on, once.
func ExampleExtract_file() {
	g := &exampleGraph{}
	services := exampleServices(g, "https://nightly.example", "https://website.example")
	nightly, website := services[0], services[1]
	dir := must(os.MkdirTemp("", "reports"))
	defer os.RemoveAll(dir) //nolint:errcheck // a directory of this example's own
	path := filepath.Join(dir, "report.csv")

	ctx, task, err := nightly.StartTask(context.Background(), "nightly_report")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := handOver(ctx, path, "https://website.example", []byte("north,7\n")); err != nil {
		fmt.Println(err)
		return
	}
	must(task.Finish(ctx, core.Completion{}))

	for _, content := range []string{"north,70\n", "north,7\n", "north,7\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			fmt.Println(err)
			return
		}
		ctx, task, content, err := takeOver(context.Background(), website, path)
		if err != nil {
			fmt.Println("refused:", core.CodeOf(err))
			continue
		}
		fmt.Printf("published %q, %s\n", content, task.BodyState())
		must(task.Finish(ctx, core.Completion{Keep: true}))
	}
	g.print("hand_over", "nightly_report", "publish")
	// Output:
	// refused: body
	// published "north,7\n", bound
	// refused: replayed
	// hand_over after []
	// nightly_report after [hand_over]
	// publish after [hand_over]
}
