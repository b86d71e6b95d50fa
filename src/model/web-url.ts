/** Whether a text begins as an absolute web URL does. */
export const isWebUrl = (text: string): boolean => /^https?:\/\//i.test(text)
