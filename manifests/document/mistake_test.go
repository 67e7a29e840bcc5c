package document

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"kilter.dev/kilter/internal/golden"
)

// TestMistakes reads files with the commonest mistakes and compares what Parse says with the archive's last file, "want". Each is read as it
// stands, below a document and comments, and with CRLF: only the line may move.
func TestMistakes(t *testing.T) {
	const name = "testdata/mistakes.txtar"
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	files := archive.Files[:len(archive.Files)-1]
	for _, file := range files {
		message := firstError(file.Name, string(file.Data))
		if message == nil {
			t.Errorf("%s: no error", file.Name)
			continue
		}
		fmt.Fprintf(&want, "%s:%d:%d: %s\n", file.Name, message.Line, message.Column, message.Message)
		for above, text := range map[int]string{
			0: strings.ReplaceAll(string(file.Data), "\n", "\r\n"),
			5: map[bool]string{false: "a: b\n---\na: b\n---\n# ü\n", true: "{}\n\n[\n]\n\n"}[path.Ext(file.Name) == ".json"] + string(file.Data),
		} {
			again := firstError(file.Name, text)
			if again == nil {
				t.Errorf("%s, %d lines further down: no error", file.Name, above)
			} else if again.Line != message.Line+above || again.Column != message.Column {
				t.Errorf("%s, %d lines further down: at %d:%d: %s", file.Name, above, again.Line, again.Column, again.Message)
			}
		}
	}
	archive.Files = append(files, txtar.File{Name: "want", Data: []byte(want.String())})
	golden.Check(t, name, string(txtar.Format(archive)))
}

func firstError(name, text string) *SyntaxError {
	for _, err := range Parse(name, []byte(text)) {
		if err != nil {
			return err
		}
	}
	return nil
}
