package phrase

// Paint colours text for a terminal; the zero value leaves it as it is.
type Paint bool

// Color is a colour or a weight, as parameters of the terminal's SGR sequence.
type Color string

// The colours.
const (
	Bold   Color = "1"
	Faint  Color = "2"
	Red    Color = "1;31"
	Green  Color = "1;32"
	Yellow Color = "1;33"
)

// In returns the text in a colour.
func (p Paint) In(color Color, text string) string {
	if !p || text == "" || color == "" {
		return text
	}
	return "\x1b[" + string(color) + "m" + text + "\x1b[0m"
}
