
// Hides the examples that lack a word of the filter, or are of another task.
const list = document.getElementById("examples-list");
const form = document.getElementById("filter");
if (list && form) {
  const { words, task, shown } = form.elements;
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const item of list.children) {
      const text = item.textContent.toLowerCase();
      item.hidden = (task.value && item.dataset.task !== task.value)
        || !wanted.every((word) => text.includes(word));
      left += item.hidden ? 0 : 1;
    }
    shown.value = `${left} of ${list.children.length} shown`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
}
